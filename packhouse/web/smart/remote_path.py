"""From the path in front of `/info/refs` and its like to a remote: `{repo}[+ephemeral|+import][.git]`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packhouse.auth.principal import Principal
from packhouse.auth.scopes import Scope
from packhouse.errors import Denied
from packhouse.git.advertisement import Service
from packhouse.git.refname import EPHEMERAL, PERSISTENT
from packhouse.operations.remotes import Remote
from packhouse.web.auth import Caller, authenticate_git

if TYPE_CHECKING:
    from packhouse.web.request import Request

_EPHEMERAL_SUFFIX = "+ephemeral"
_IMPORT_SUFFIX = "+import"

_SCOPES = {Service.UPLOAD_PACK: Scope.GIT_READ, Service.RECEIVE_PACK: Scope.GIT_WRITE}


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A remote, and whether it was addressed by its import address, which takes pushes only."""

    remote: Remote
    is_import: bool


def parse_remote_path(path: str) -> RemotePath:
    """Return what the decoded path names, read from the right; the repository need not exist."""
    base = path.removesuffix(".git")
    if base.endswith(_EPHEMERAL_SUFFIX):
        return RemotePath(Remote(base.removesuffix(_EPHEMERAL_SUFFIX), EPHEMERAL), is_import=False)
    is_import = base.endswith(_IMPORT_SUFFIX)
    return RemotePath(Remote(base.removesuffix(_IMPORT_SUFFIX), PERSISTENT), is_import=is_import)


async def authorise_remote(request: "Request", service: Service) -> tuple[Principal, Remote]:
    """Return who calls and the remote of the path; raise Unauthenticated, or Denied for what is not allowed.

    The SDKs write names into remotes without escaping `%`: what the token is for tells whether `a%20b` is `a b`.
    """
    principal = await authenticate_git(request, _SCOPES[service])
    path = parse_remote_path(request.git_path)
    if principal.repo_claim != path.remote.repo:
        path = parse_remote_path(request.git_path_as_written)
    principal.require_repo(path.remote.repo)
    request.authorised = Caller(principal, path.remote.repo)
    if path.is_import and service is Service.UPLOAD_PACK:
        raise Denied("reads are disabled on the import remote")
    return principal, path.remote
