"""The environment of a child process. Of this process's own environment it contains only PATH.

A git child reads only our configuration, runs no hooks, credential helpers or prompts, and may contact no remote.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse.git import EMPTY_TREE_OID

LITERAL_PATHS: Final[Mapping[str, str]] = {"GIT_LITERAL_PATHSPECS": "1"}
"""Lets git treat paths as literal paths instead of pathspecs (git(1))."""

UTF8: Final[Mapping[str, str]] = {"LC_ALL": "C.UTF-8"}
"""Lets git read texts as UTF-8 (locale(7)). In the locale C, a dot of a regular expression matches one byte."""

_CONFIG: Final[dict[str, str]] = {
    # Without these three, one large blob costs its whole size in memory (git-config(1)).
    "core.bigFileThreshold": "16m",
    "core.packedGitWindowSize": "16m",
    "core.packedGitLimit": "64m",
    "core.deltaBaseCacheLimit": "32m",
    "pack.windowMemory": "64m",
    # Names that other systems would expand to `.git` are refused everywhere.
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.fsync": "all",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    # The folders belong to the user of the server, but an operator may run a command as root.
    "safe.directory": "*",
    "transfer.advertiseSID": "false",
    "advice.detachedHead": "false",
}


@dataclass(frozen=True, slots=True)
class GitPlace:
    """Where git works: its repository, its object folders, and the file descriptors that it inherits.

    Without `git_dir`, git works in no repository. Git reads and writes objects in `object_dir`, or else in the
    repository's own folder; it only reads from the folders in `beneath`. `shallow_file` lists commits that git treats
    as roots (git's shallow.c). The descriptors are locks that keep the objects in place while git runs, even when this
    process dies.
    """

    git_dir: Path | None = None
    object_dir: Path | None = None
    beneath: tuple[Path, ...] = ()
    shallow_file: Path | None = None
    descriptors: tuple[int, ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables for this place (git(1), "ENVIRONMENT VARIABLES")."""
        named = {
            "GIT_DIR": self.git_dir,
            "GIT_OBJECT_DIRECTORY": self.object_dir,
            "GIT_SHALLOW_FILE": self.shallow_file,
        }
        variables = {name: str(path) for name, path in named.items() if path is not None}
        if self.beneath:
            variables["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = ":".join(map(_quote_alternate, self.beneath))
        return variables


def _quote_alternate(path: Path) -> str:
    """Return a path as git reads it in a list. A path in double quotes may hold a colon (git(1))."""
    text = str(path)
    if ":" not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


NOWHERE: Final = GitPlace()
"""A place for git without a repository."""


def git_environment(
    place: GitPlace, *, extra: Mapping[str, str] | None = None, config: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the whole environment of a git child. `extra` overrides the variables of the place."""
    settings = {**_CONFIG, **(config or {})}
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_NO_REPLACE_OBJECTS": "1",
        # From 2.43 on, git reads .gitattributes of a bare repository's HEAD. The content of a repository must not
        # change how it is shown. Older versions do not know the variable (git(1)).
        "GIT_ATTR_SOURCE": EMPTY_TREE_OID,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (name, value) in enumerate(settings.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = name
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return {**environment, **place.variables, **(extra or {})}


def program_environment(home: Path) -> dict[str, str]:
    """Return the whole environment of a program other than git. Its time zone is UTC."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": str(home),
    }
