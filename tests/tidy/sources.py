"""The project's own files, for the tests of house rules."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SKIPPED = {".git", ".venv", "node_modules", "data", "__pycache__", "build", "dist"}


@cache
def project_files() -> tuple[Path, ...]:
    """Return every file of the project:

    the files that git tracks or would track, or all files of an unpacked archive.
    """
    if (ROOT / ".git").exists():
        out = subprocess.run(
            # A checkout may belong to another user than the one who tests it, such as root in a container.
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        names = [Path(name) for name in out.decode().split("\0") if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    kept = (name for name in names if _SKIPPED.isdisjoint(name.parts) and (ROOT / name).is_file())
    return tuple(ROOT / name for name in sorted(kept))


def python_files(*tops: str) -> list[Path]:
    """Return the Python files below these top folders."""
    return [
        path for path in project_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in tops
    ]


@cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of one file."""
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def functions(tree: ast.Module) -> Iterator[Function]:
    """Yield every function and method, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def place(path: Path, line: int) -> str:
    """Return `path:line`, as editors understand it."""
    return f"{path.relative_to(ROOT)}:{line}"
