"""The facts about a request that its route gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Dialect(Enum):
    """The family of paths that a request used."""

    RELEASED = "/api/v1"
    PREFERRED = "/api"
    GIT = "git"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Match:
    """The operation that answers a request, the dialect of its path, and the decoded values of the path.

    `operation` is the name of the route. `template` is its path with names in place of values, such as `{repo}`.
    `git_path` is the path in front of a git suffix, its segments decoded and joined by slashes. `git_path_as_written`
    is the same before it was decoded.
    """

    operation: str
    template: str
    dialect: Dialect
    values: Mapping[str, str] = field(default_factory=dict)
    git_path: str = ""
    git_path_as_written: str = ""
