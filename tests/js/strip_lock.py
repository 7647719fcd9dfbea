"""Take addresses out of package-lock.json: versions and integrity hashes are what pins a package.

npm itself leaves out where it got a package from (`--omit-lockfile-registry-resolved`); the links for
donations and the like that packages declare go here.
"""

import json
from pathlib import Path


def main() -> None:
    """Rewrite the lock beside this file."""
    path = Path(__file__).with_name("package-lock.json")
    lock = json.loads(path.read_text("utf-8"))
    for package in lock["packages"].values():
        for name in ("funding", "resolved"):
            package.pop(name, None)
    path.write_text(json.dumps(lock, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
