"""Run sections and print their figures with the machine they belong to."""

import argparse
import importlib
import pkgutil
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from bench import machine, sections
from bench.context import Context

BUILD = Path(__file__).resolve().parents[1] / "build"


def section_names() -> list[str]:
    """Return the names of all sections, in the order in which they run."""
    return sorted(module.name for module in pkgutil.iter_modules(sections.__path__))


def main() -> int:
    """Parse the command line, run, print. The status is 0 if every section ran, whatever it measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("section", nargs="*", help=f"one or more of: {', '.join(section_names())}")
    parser.add_argument("--quick", action="store_true", help="only show that it works; figures mean nothing")
    parser.add_argument("--dir", type=Path, default=BUILD, help="folder on the disk to measure")
    parser.add_argument("--repos", type=int, default=0, metavar="N", help="repositories of many_repositories")
    chosen = parser.parse_args()
    names = chosen.section or section_names()
    unknown = sorted(set(names) - set(section_names()))
    if unknown:
        parser.error(f"no such section: {', '.join(unknown)}; there are {', '.join(section_names())}")
    chosen.dir.mkdir(parents=True, exist_ok=True)
    print("\n".join(machine.describe(chosen.dir)))
    for name in names:
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=chosen.dir))
        context = Context(folder, quick=chosen.quick, repos=chosen.repos)
        _run(importlib.import_module(f"bench.sections.{name}"), context)
    return 0


def _run(section: ModuleType, context: Context) -> None:
    print(f"\n{section.__name__.rpartition('.')[2]}: {(section.__doc__ or '').strip().splitlines()[0]}")
    sys.stdout.flush()
    begin = time.monotonic()
    try:
        for figure in section.run(context):
            print(figure if isinstance(figure, str) else figure.line())
            sys.stdout.flush()
    finally:
        context.stop_servers()
        shutil.rmtree(context.folder)
    print(f"  ({time.monotonic() - begin:.0f} s)")


if __name__ == "__main__":
    sys.exit(main())
