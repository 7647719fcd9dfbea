"""Runs the command line in this process, because starting the program each time is slow."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from packhouse.cli.main import run


class Shell:
    """Runs `packhouse` commands on its own data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOUSE_")}
        self.env = {**kept, "PACKHOUSE_DATA": str(folder / "data")}

    def run(
        self, *args: str | Path, stdin: str = "", env: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), given_stdin(stdin), chdir(self.folder):
            code = run([str(arg) for arg in args], {**self.env, **(env or {})})
        return code, out.getvalue(), err.getvalue()

    def ok(self, *args: str | Path, **options: Any) -> str:
        code, out, err = self.run(*args, **options)
        assert code == 0, err
        assert err == ""
        return out.strip()

    def fails(self, code: int, *args: str | Path, **options: Any) -> str:
        """Run a command that fails with this exit code. Return its one line on standard error."""
        actual, out, err = self.run(*args, **options)
        assert (actual, out) == (code, ""), (out, err)
        assert err.startswith("packhouse: ")
        assert err.count("\n") == 1, err
        return err

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


@contextmanager
def given_stdin(text: str) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    try:
        yield
    finally:
        sys.stdin = before
