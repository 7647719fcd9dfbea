"""Print the figures of this checkout, or of another one."""

import argparse
import json
import sys
from pathlib import Path

from bench.structure.figures import describe, measure

HERE = Path(__file__).resolve().parents[2]


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.structure", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="a checkout; this one by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    if not (chosen.folder / "packhouse").is_dir():
        parser.error(f"no folder packhouse in {chosen.folder}")
    figures = measure(chosen.folder.resolve())
    print(json.dumps(figures, indent=2) if chosen.json else "\n".join(describe(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
