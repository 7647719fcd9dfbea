"""From the path in front of `/info/refs` and the like to the remote: `{repo}[+ephemeral|+import][.git]`."""

from packhouse.auth import Principal, Scope
from packhouse.errors import Code, Denied
from packhouse.git import EPHEMERAL, PERSISTENT
from packhouse.git.wire import Service
from packhouse.operations.transport.remotes import Remote
from packhouse.web.auth import authenticate_git
from packhouse.web.call import Call
from packhouse.web.caller import Caller

_EPHEMERAL_SUFFIX = "+ephemeral"
_IMPORT_SUFFIX = "+import"

_SCOPES = {Service.UPLOAD_PACK: Scope.GIT_READ, Service.RECEIVE_PACK: Scope.GIT_WRITE}


class ImportIsWriteOnly(Denied):
    """The import remote takes pushes only. Fetch from the plain remote."""

    code = Code.IMPORT_IS_WRITE_ONLY


def parse_remote_path(path: str) -> Remote:
    """Return the remote of a decoded path, which is read from the right. The repository need not exist."""
    base = path.removesuffix(".git")
    if base.endswith(_EPHEMERAL_SUFFIX):
        return Remote(base.removesuffix(_EPHEMERAL_SUFFIX), EPHEMERAL)
    is_import = base.endswith(_IMPORT_SUFFIX)
    return Remote(base.removesuffix(_IMPORT_SUFFIX), PERSISTENT, is_import=is_import)


async def authorise_remote(call: Call, service: Service) -> tuple[Principal, Remote]:
    """Return the caller's principal and the remote of the path.

    The SDKs write names into remotes without escaping `%`. So the token's repository tells whether `a%20b` means `a b`.
    Raises Unauthenticated without a valid token, and Denied when its scopes or its repository do not fit.
    """
    principal = await authenticate_git(call, _SCOPES[service])
    remote = parse_remote_path(call.match.git_path)
    if principal.repo_claim != remote.repo:
        remote = parse_remote_path(call.match.git_path_as_written)
    principal.require_repo(remote.repo)
    call.authorised = Caller(principal, remote.repo)
    if remote.is_import and service is Service.UPLOAD_PACK:
        raise ImportIsWriteOnly()
    return principal, remote
