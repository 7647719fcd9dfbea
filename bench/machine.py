"""The machine and the versions that the figures belong to."""

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

from tests.support.servers.programs import find_program

_PACKAGES = ("packhouse", "uvicorn", "starlette", "uvloop", "pygit2", "isal", "msgspec")


def describe(folder: Path) -> list[str]:
    """Return lines about the machine and the versions of the run. `folder` is the place of the data."""
    usage = shutil.disk_usage(folder)
    return [
        f"machine   {_cpu_model()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.machine()}",
        f"system    {platform.system()} {platform.release()}, {_file_system(folder)}, "
        f"{usage.free / 2**30:.0f} GiB free",
        f"load      {os.getloadavg()[0]:.2f} in the last minute before the run",
        f"python    {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        f"git       {_output('git', '--version').removeprefix('git version ')}",
        f"nginx     {_output('nginx', '-v').removeprefix('nginx version: ') or 'not installed'}",
        "packages  " + ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        f"commit    {_output('git', 'rev-parse', '--short', 'HEAD') or 'not a checkout'}",
    ]


def _cpu_model() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _memory_gib() -> float:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return int(line.split()[1]) / 2**20
    return 0.0


def _file_system(folder: Path) -> str:
    resolved = str(folder.resolve())
    best = ("", "unknown file system")
    for line in _lines("/proc/mounts"):
        _device, mount, kind, *_rest = line.split()
        if resolved.startswith(mount) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _output(*command: str) -> str:
    program = find_program(command[0])
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.returncode == 0 else ""
