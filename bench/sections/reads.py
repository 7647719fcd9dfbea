"""Small files read over HTTP from a repository with a thousand of them."""

from collections.abc import Iterator
from urllib.parse import quote, urlencode

from bench.context import Context, make_files, measure, request_bytes
from bench.report import Measure
from tests.support.clients.repo import Repo
from tests.support.servers.server_process import ServerOptions

CLIENTS = 8


def run(context: Context) -> Iterator[Measure]:
    """Measure reads with one client and with eight, and with two processes."""
    for workers in (1, 2):
        server = context.start_server(ServerOptions(workers=workers, settings={"log_level": "warning"}))
        repo = server.new_org().create_repo()
        files = make_files(1000, 2048)
        repo.write_commit("main", files)
        for number in range(20):
            repo.write_commit("main", {f"src/part0/file{number:02}.txt": b"changed\n" * 256})
        requests = _requests(repo, list(files)[:50])
        listing = [_request(repo, "files", recursive="false", path="src/part1")]
        label = "" if workers == 1 else f", --workers {workers}"
        for clients in (1, CLIENTS):
            outcome = measure(
                server, [requests] * clients, duration_s=context.seconds(5), warm_up_s=context.seconds(1)
            )
            yield Measure(
                f"GET file of 2 KB, {clients} client{'s' if clients > 1 else ''}{label}",
                outcome.rate(200),
                "/s",
                aim=2000 if clients > 1 else None,
                note=outcome.note(),
            )
        outcome = measure(
            server, [listing] * CLIENTS, duration_s=context.seconds(5), warm_up_s=context.seconds(1)
        )
        yield Measure(f"GET files, one folder of 250{label}", outcome.rate(200), "/s", note=outcome.note())


def _requests(repo: Repo, paths: list[str]) -> list[bytes]:
    return [_request(repo, "file", path=path) for path in paths]


def _request(repo: Repo, name: str, **query: str) -> bytes:
    target = f"/api/repos/{quote(repo.name, safe='')}/{name}?{urlencode(query)}"
    return request_bytes(repo, "GET", target, token=repo.token(scopes=["git:read"]))
