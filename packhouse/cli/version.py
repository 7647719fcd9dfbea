"""`packhouse version`: the versions of all programs and libraries in use, for fault reports."""

import platform
import sqlite3
from importlib import metadata
from typing import Final

import click
import pygit2

from packhouse import RELEASE, __version__
from packhouse.cli.command import PackhouseCommand
from packhouse.cli.output import json_option, print_json
from packhouse.git.commands.version import find_git_version

_TIMEOUT_S: Final = 10.0


_SHOWN: Final = {"sqlite": "SQLite", "python": "Python"}


@click.command("version", cls=PackhouseCommand)
@json_option
def command(*, as_json: bool) -> None:
    """Print the version of this program and of what it runs on."""
    below = {
        "git": find_git_version(timeout_s=_TIMEOUT_S),
        "libgit2": pygit2.LIBGIT2_VERSION,
        "pygit2": metadata.version("pygit2"),
        "sqlite": sqlite3.sqlite_version,
        "python": platform.python_version(),
    }
    if as_json:
        print_json({"version": __version__, "release": RELEASE, **below})
        return
    click.echo(f"packhouse {__version__}")
    click.echo(f"release   {RELEASE}")
    for name, version in below.items():
        click.echo(f"{_SHOWN.get(name, name):9} {version or 'not found'}")
