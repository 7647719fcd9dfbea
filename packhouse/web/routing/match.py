"""What a request knows of the route that answers it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Dialect(Enum):
    """Which family of paths a request used."""

    RELEASED = "/api/v1"
    PREFERRED = "/api"
    GIT = "git"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Match:
    """The operation that answers a request, the dialect it was reached by, and the decoded path values.

    `operation` is the name of the route, `template` its path with names in place of values, `{repo}` for instance.
    `git_path` is the path in front of a git suffix: segments decoded, joined by slashes; `git_path_as_written` is
    the same before it was decoded.
    """

    operation: str
    template: str
    dialect: Dialect
    values: Mapping[str, str] = field(default_factory=dict)
    git_path: str = ""
    git_path_as_written: str = ""
