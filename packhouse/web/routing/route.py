"""Routes: the handler for a method and paths, its callers, and its writes.

The constructors below make the rows of the modules in `web/api/`. A row tells only what is its own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import msgspec

from packhouse.auth import Scope
from packhouse.web.call import Call
from packhouse.web.openapi.description import Description
from packhouse.web.prepared_write import BranchWrite, PreparedWrite
from packhouse.web.reply import Returned, find_reply_type
from packhouse.web.routing.match import Dialect

Handler = Callable[[Call], Awaitable[Returned]]
"""A function that answers a call: it runs one operation and returns the reply."""

WriteHandler = Callable[[Call], Awaitable[PreparedWrite[Any]]]
"""A function that prepares a write for a call. The pipeline runs the write."""

BranchWriteHandler = Callable[[Call], Awaitable[BranchWrite[Any]]]
"""A function that prepares a write to a branch for a call. The pipeline runs the write in the queue of the branch."""

READ: Final = (Scope.GIT_READ,)
WRITE: Final = (Scope.GIT_WRITE,)
ADMIN: Final = (Scope.REPO_WRITE,)


class Claim(Enum):
    """What the `repo` claim of the token must name before the handler runs."""

    REPO = "the repository of the path, or on released paths any one repository"
    ORG = "anything: the call concerns no repository"
    HANDLER = "the handler authorises by itself"


class ErrorStyle(Enum):
    """The form that failures of a route have on the wire."""

    PLAIN = "problem details"
    COMMIT_RESULT = "problem details with a result object"
    NOTE = "problem details, or the note write response when the notes ref is the reason"
    GIT = "one line of text, as git shows it"
    LFS = "problem details with a message, which git-lfs shows"
    CODEARTS = "error_code and error_msg, of the archive download that CodeArts clients call"


class Writes(Enum):
    """What a route writes, and how often it does so for repeated requests.

    `takes_key` tells whether requests may have an `Idempotency-Key`.
    """

    NOTHING = ("it reads", False)
    EACH_TIME = ("each request writes again", False)
    ONCE = ("all requests with one Idempotency-Key write once", True)
    BRANCH = ("as ONCE, and in the queue of the branch that it moves", True)

    def __init__(self, _meaning: str, takes_key: bool) -> None:  # as enum calls it
        self.takes_key = takes_key


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of a route, one for each dialect that has it; `{x}` takes one segment.

    A route with `git_suffix` answers every path that ends with it. The repository part in front of the suffix may have
    any number of segments. The handler finds that part, decoded, in `call.match.git_path`.
    """

    released: str = ""
    preferred: str = ""
    git_suffix: str = ""


def of_org(path: str) -> Paths:
    """Return the paths of an operation of an organisation, such as `webhooks`."""
    return Paths(f"/api/v1/{path}", f"/api/{path}")


def of_repo(path: str) -> Paths:
    """Return the paths of an operation of a repository, such as `tags`.

    The released path has no repository: the token names it.
    """
    return Paths(f"/api/v1/repos/{path}", f"/api/repos/{{repo}}/{path}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `scopes` are alternatives: the token must have one of them. A GET route also answers HEAD.

    `released_scope_status` is the status for a missing scope on the released path.
    """

    name: str
    method: str
    paths: Paths
    handler: Handler | WriteHandler
    scopes: tuple[Scope, ...] = ()
    claim: Claim = Claim.REPO
    errors: ErrorStyle = ErrorStyle.PLAIN
    released_scope_status: int = 401
    writes: Writes = Writes.NOTHING
    description: Description = field(default_factory=Description)

    @property
    def reply(self) -> type[msgspec.Struct] | None:
        """The struct that the handler's annotation names; None for an answer without a body and for other media."""
        return find_reply_type(self.handler)

    def template(self, dialect: Dialect) -> str:
        """Return the path of the dialect with names in place of values, such as `{repo}`."""
        if dialect is Dialect.GIT:
            return "/{repo}.git" + self.paths.git_suffix
        if dialect is Dialect.RELEASED:
            return self.paths.released
        return self.paths.preferred or self.paths.released


def reading(
    name: str,
    paths: Paths,
    handler: Handler,
    description: Description,
    *,
    method: str = "GET",
    scopes: tuple[Scope, ...] = READ,
    claim: Claim = Claim.REPO,
    errors: ErrorStyle = ErrorStyle.PLAIN,
) -> Route:
    """Return a route that writes nothing."""
    return Route(name, method, paths, handler, scopes, claim, errors, description=description)


def public(name: str, path: str, handler: Handler, description: Description) -> Route:
    """Return a route that reads and needs no token. It has one path."""
    return reading(name, Paths(preferred=path), handler, description, scopes=(), claim=Claim.HANDLER)


def changing(
    name: str,
    paths: Paths,
    handler: Handler,
    description: Description,
    *,
    method: str = "POST",
    scopes: tuple[Scope, ...] = ADMIN,
    claim: Claim = Claim.REPO,
    released_scope_status: int = 401,
) -> Route:
    """Return a route that writes each time it is called."""
    return Route(
        name,
        method,
        paths,
        handler,
        scopes,
        claim,
        released_scope_status=released_scope_status,
        writes=Writes.EACH_TIME,
        description=description,
    )


def writing(
    name: str,
    paths: Paths,
    handler: WriteHandler,
    description: Description,
    *,
    method: str = "POST",
    scopes: tuple[Scope, ...] = WRITE,
) -> Route:
    """Return a route that writes once for all requests with the same key."""
    return Route(name, method, paths, handler, scopes, writes=Writes.ONCE, description=description)


def writing_branch(
    name: str,
    paths: Paths,
    handler: BranchWriteHandler,
    description: Description,
    *,
    method: str = "POST",
    errors: ErrorStyle = ErrorStyle.PLAIN,
) -> Route:
    """Return a route that writes to a branch, in the branch's queue and once for all requests with the same key."""
    return Route(
        name,
        method,
        paths,
        handler,
        WRITE,
        errors=errors,
        writes=Writes.BRANCH,
        description=description,
    )


def of_remote(
    name: str, git_suffix: str, handler: Handler, *, method: str = "GET", errors: ErrorStyle = ErrorStyle.GIT
) -> Route:
    """Return a route of Git's own paths. Its handler authorises, and the OpenAPI document leaves it out."""
    return Route(name, method, Paths(git_suffix=git_suffix), handler, claim=Claim.HANDLER, errors=errors)
