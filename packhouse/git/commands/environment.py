"""The environment of a child: everything that it may know, and nothing of this process but PATH.

A git sees no configuration but ours, no hooks, no credential helpers and no prompts, and may talk to no remote.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse.git.oid import EMPTY_TREE_OID

LITERAL_PATHS: Final[Mapping[str, str]] = {"GIT_LITERAL_PATHSPECS": "1"}
"""Lets git take paths literally and not as pathspecs (git(1))."""

UTF8: Final[Mapping[str, str]] = {"LC_ALL": "C.UTF-8"}
"""Lets git take texts as UTF-8 (locale(7)). In C, a dot of an expression matches one byte."""

_CONFIG: Final[dict[str, str]] = {
    # Without these three, one large blob costs its whole size in memory (git-config(1)).
    "core.bigFileThreshold": "16m",
    "core.packedGitWindowSize": "16m",
    "core.packedGitLimit": "64m",
    "core.deltaBaseCacheLimit": "32m",
    "pack.windowMemory": "64m",
    # What other systems would expand to `.git` is refused everywhere.
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.fsync": "all",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    # Folders belong to whoever runs the server, but an operator may run a command as root.
    "safe.directory": "*",
    "transfer.advertiseSID": "false",
    "advice.detachedHead": "false",
}


@dataclass(frozen=True, slots=True)
class GitPlace:
    """Where git works: its repository, where objects are, and what it inherits.

    Without `git_dir` it works in no repository. Objects are read from `object_dir` and written there, or else to the
    repository's own folder; those in `beneath` are read, too. `shallow_file` lists commits that git takes for roots
    (git's shallow.c). The descriptors are locks that keep the objects in place
    while git runs, even when this process dies.
    """

    git_dir: Path | None = None
    object_dir: Path | None = None
    beneath: Path | None = None
    shallow_file: Path | None = None
    descriptors: tuple[int, ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """The variables that say so (git(1), "ENVIRONMENT VARIABLES")."""
        named = {
            "GIT_DIR": self.git_dir,
            "GIT_OBJECT_DIRECTORY": self.object_dir,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": self.beneath,
            "GIT_SHALLOW_FILE": self.shallow_file,
        }
        return {name: str(path) for name, path in named.items() if path is not None}


NOWHERE: Final = GitPlace()
"""No repository at all."""


def git_environment(
    place: GitPlace, *, extra: Mapping[str, str] | None = None, config: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the whole environment of a git child; `extra` goes before what the place says."""
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
        # From 2.43 on git reads .gitattributes of a bare repository's HEAD; what a repository holds must not
        # change how it is shown. Older ones do not know the variable (git(1)).
        "GIT_ATTR_SOURCE": EMPTY_TREE_OID,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (name, value) in enumerate(settings.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = name
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return {**environment, **place.variables, **(extra or {})}


def program_environment(home: Path) -> dict[str, str]:
    """Return the whole environment of another program than git: its zone is UTC."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": str(home),
    }
