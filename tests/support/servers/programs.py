"""Programs besides git that tests run: where they are, and how a test says that it needs one."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

NOT_INSTALLED: Final = "not installed: "
_SBIN: Final = "/usr/sbin:/sbin:/usr/local/sbin"
_CI: Final = Path(__file__).resolve().parents[3] / ".ci"

# Debian's package of each program that the machine may lack. `.ci/run` installs the same packages.
PACKAGES: Final = {
    "curl": "curl",
    "fcgiwrap": "fcgiwrap",
    "gpg": "gnupg",
    "javac": "default-jdk-headless",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "ssh-keygen": "openssh-client",
}


def find_program(name: str) -> str | None:
    """Return the path of a program. nginx may also be the one that `make test` installs beside the packages."""
    if name == "nginx":
        return _ask("find-nginx")
    return shutil.which(name) or shutil.which(name, path=_SBIN)


def find_postgres() -> Path:
    """Return the folder of PostgreSQL's server programs: this machine's, or those that `make test` installs."""
    folder = _ask("find-postgres")
    assert folder, "PostgreSQL 14 or newer is not installed; `make test` fetches it where it is missing"
    return Path(folder)


def need_programs(*names: str) -> None:
    """Skip the running test if this machine lacks one of these programs.

    tests/support/skips.py reads the reason, and counts the tests of each missing program.
    """
    assert set(names) <= set(PACKAGES), "a program needs its row in PACKAGES, and in .ci/run"
    if missing := [name for name in names if find_program(name) is None]:
        pytest.skip(NOT_INSTALLED + ", ".join(missing))


def _ask(script: str) -> str | None:
    done = subprocess.run([_CI / script], env=dict(os.environ), capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
