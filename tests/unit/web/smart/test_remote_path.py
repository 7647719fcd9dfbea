"""The repository and the namespace that a git address names, and the callers who may use them."""

import pytest

from packhouse.errors import Denied, Unauthenticated
from packhouse.git.refname import EPHEMERAL, PERSISTENT
from packhouse.git.wire.advertisement import Service
from packhouse.operations.transport.remotes import Remote
from packhouse.web.smart.remote_path import authorise_remote, parse_remote_path
from tests.support.event_loop import in_event_loop
from tests.support.servers.memory_edge import MemoryEdge
from tests.support.wire_requests import Client

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("r", Remote("r", PERSISTENT)),
        ("r.git", Remote("r", PERSISTENT)),
        ("team/r.git", Remote("team/r", PERSISTENT)),
        ("r+ephemeral", Remote("r", EPHEMERAL)),
        ("r+ephemeral.git", Remote("r", EPHEMERAL)),
        ("r+import.git", Remote("r", PERSISTENT, is_import=True)),
        ("r+import", Remote("r", PERSISTENT, is_import=True)),
        ("r.git.git", Remote("r.git", PERSISTENT)),
        ("r.git+ephemeral", Remote("r.git", EPHEMERAL)),
        ("r+ephemeral+import.git", Remote("r+ephemeral", PERSISTENT, is_import=True)),
        ("r+ephemeral+ephemeral", Remote("r+ephemeral", EPHEMERAL)),
        ("r+ephemeralx", Remote("r+ephemeralx", PERSISTENT)),
        ("+import", Remote("", PERSISTENT, is_import=True)),
    ],
)
def test_a_path_is_read_from_the_right(path: str, remote: Remote) -> None:
    assert parse_remote_path(path) == remote


async def authorise(edge: MemoryEdge, path: str, service: Service, token: str) -> Remote:
    """Return the remote that a request names, or raise the refusal."""
    headers = {"authorization": f"Bearer {token}"}
    _route, call = edge.call("POST", f"{path}/{service.value}", Client(), headers)
    principal, remote = await authorise_remote(call, service)
    assert call.caller.principal is principal
    assert call.caller.repo == remote.repo
    return remote


@pytest.mark.parametrize(
    ("service", "scope", "is_allowed"),
    [
        (Service.UPLOAD_PACK, "git:read", True),
        (Service.UPLOAD_PACK, "repo:write", False),
        (Service.RECEIVE_PACK, "git:write", True),
        (Service.RECEIVE_PACK, "git:read", False),
    ],
)
@in_event_loop
async def test_each_service_needs_a_scope_of_its_own(
    edge: MemoryEdge, service: Service, scope: str, is_allowed: bool
) -> None:
    token = edge.token("r", scope)
    if is_allowed:
        assert await authorise(edge, "/r.git", service, token) == Remote("r", PERSISTENT)
    else:
        with pytest.raises(Denied, match="scope"):
            await authorise(edge, "/r.git", service, token)


@in_event_loop
async def test_a_token_is_for_its_repository_only(edge: MemoryEdge) -> None:
    with pytest.raises(Denied, match="not for this repository"):
        await authorise(edge, "/r.git", Service.UPLOAD_PACK, edge.token("other"))


@in_event_loop
async def test_an_invalid_token_is_refused(edge: MemoryEdge) -> None:
    with pytest.raises(Unauthenticated):
        await authorise(edge, "/r.git", Service.UPLOAD_PACK, "nonsense")


@pytest.mark.parametrize(
    ("path", "repo"),
    [("/a%20b.git", "a b"), ("/a%20b.git", "a%20b"), ("/a%2520b.git", "a%20b"), ("/100%25.git", "100%")],
)
@in_event_loop
async def test_the_token_tells_whether_a_path_is_escaped(edge: MemoryEdge, path: str, repo: str) -> None:
    """The SDKs write names into addresses unescaped, percent signs included."""
    remote = await authorise(edge, path, Service.UPLOAD_PACK, edge.token(repo))
    assert remote == Remote(repo, PERSISTENT)


@in_event_loop
async def test_the_import_remote_can_only_be_pushed_to(edge: MemoryEdge) -> None:
    token = edge.token("r")
    assert (await authorise(edge, "/r+import.git", Service.RECEIVE_PACK, token)).is_import
    with pytest.raises(Denied, match="import remote"):
        await authorise(edge, "/r+import.git", Service.UPLOAD_PACK, token)
