"""`Idempotency-Key`: a repeated write gets the first answer, and nothing is written twice."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.builders.sample_history import SampleHistory, push_sample_history
from tests.support.clients.git import Git
from tests.support.clients.keyed_calls import (
    COMMIT,
    CREATE_BRANCH,
    CREATE_TAG,
    DELETE_BRANCH,
    KEYED_CALLS,
    KeyedCall,
    count_moves,
)
from tests.support.clients.repo import Org, Repo, commit_lines
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions
from tests.support.servers.upstreams import follow, pull
from tests.tidy.sources import ROOT

REPLAYED = "Idempotency-Replayed"
BOTH = [
    pytest.param(call, dialect, id=f"{call.name} {dialect}")
    for call in KEYED_CALLS
    for dialect in ("api", "v1")
    if call.only in ("", dialect)
]
EACH = [
    pytest.param(call, call.only or ("v1", "api")[number % 2], id=call.name)
    for number, call in enumerate(KEYED_CALLS)
]
ENGINES = ["sqlite", "workers", "postgres"]


@pytest.fixture
def history(repo: Repo, git: Git, tmp_path: Path) -> SampleHistory:
    """The sample history in a new repository, with a branch `old` that is behind all others."""
    history = push_sample_history(repo, git, tmp_path / "work")
    git.run("push", "--quiet", repo.remote(), f"{history.start}:refs/heads/old", cwd=history.work)
    return history


def new_key() -> str:
    """Return a key as the specification writes it: a string in quotes."""
    return f'"{uuid4()}"'


def post_files(repo: Repo, key: str | None, content: bytes, **metadata: str) -> httpx.Response:
    """Commit one file to main."""
    body = b"".join(commit_lines("main", {"a": content}, **metadata))
    return COMMIT.send_body(repo, "api", key, body)


def all_at_once(count: int, call: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Make calls that start at the same time."""
    barrier = Barrier(count)

    def run(number: int) -> httpx.Response:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def is_replay(reply: httpx.Response, first: httpx.Response) -> bool:
    """Tell whether a reply repeats the first one and has the header that says so."""
    same = (reply.status_code, reply.content) == (first.status_code, first.content)
    return same and reply.headers.get(REPLAYED) == "true"


@pytest.mark.parametrize(("call", "dialect"), BOTH)
def test_a_repeated_write_gets_the_first_answer_and_moves_nothing(
    call: KeyedCall, dialect: str, history: SampleHistory
) -> None:
    before, key = count_moves(history.repo), new_key()
    first = call.send(history, dialect, key)
    assert first.status_code in (200, 201), first.text
    assert REPLAYED not in first.headers
    assert count_moves(history.repo) == before + call.moves
    again = call.send(history, dialect, key)
    assert is_replay(again, first), again.text
    assert again.headers["content-type"] == first.headers["content-type"]
    if not call.only:
        assert is_replay(call.send(history, "v1" if dialect == "api" else "api", key), first)
    assert count_moves(history.repo) == before + call.moves


@pytest.mark.parametrize(("call", "dialect"), EACH)
def test_another_body_under_the_same_key_is_422(
    call: KeyedCall, dialect: str, history: SampleHistory
) -> None:
    key = new_key()
    assert call.send(history, dialect, key).status_code in (200, 201)
    after = count_moves(history.repo)
    other = call.send(history, dialect, key, other=True)
    assert other.status_code == 422, other.text
    problem = other.json()
    assert problem["status"] == 422
    assert problem["error"] == problem["detail"]
    assert "Idempotency-Key" in problem["error"]
    if call.has_result:
        assert problem["result"]["success"] is False
        assert problem["result"]["status"] == "invalid"
    assert REPLAYED not in other.headers
    assert count_moves(history.repo) == after


@pytest.mark.parametrize(
    "call", [call for call in KEYED_CALLS if call.moves and call != CREATE_BRANCH], ids=lambda call: call.name
)
def test_without_the_header_a_repeat_is_a_request_of_its_own(call: KeyedCall, history: SampleHistory) -> None:
    first = call.send(history, "api", None)
    assert first.status_code in (200, 201)
    again = call.send(history, "api", None)
    assert REPLAYED not in again.headers
    assert again.content != first.content


def test_another_operation_or_query_under_the_same_key_is_422(history: SampleHistory) -> None:
    key = new_key()
    assert CREATE_TAG.send(history, "api", key).status_code == 200
    assert CREATE_BRANCH.send(history, "api", key).status_code == 422
    body = json.dumps({"name": "v2", "ref": "main"})
    reply = history.repo.api("POST", "/tags?x=1", content=body, headers={"Idempotency-Key": key})
    assert reply.status_code == 422
    key = new_key()
    headers = {"Idempotency-Key": key}
    assert history.repo.api("DELETE", "/tags/v1", headers=headers).status_code == 200
    assert history.repo.api("DELETE", "/tags/v2", headers=headers).status_code == 422


@pytest.mark.parametrize("server", ENGINES, indirect=True)
@pytest.mark.parametrize("guarded", [False, True])
def test_of_twenty_commits_with_one_key_one_is_made(repo: Repo, *, guarded: bool) -> None:
    tip = repo.write_commit("main", {"README.md": b"# Shop\n"})
    key = new_key()
    guard = {"expected_target_sha": tip} if guarded else {}
    replies = all_at_once(20, lambda _: post_files(repo, key, b"1", **guard))
    assert [reply.status_code for reply in replies] == [201] * 20, {reply.text for reply in replies}
    assert len({reply.content for reply in replies}) == 1
    assert sum(REPLAYED not in reply.headers for reply in replies) == 1
    assert count_moves(repo) == 2


@pytest.mark.parametrize("server", ENGINES, indirect=True)
def test_of_different_commits_with_one_key_one_is_made_and_the_others_are_422(repo: Repo) -> None:
    repo.write_commit("main", {"README.md": b"# Shop\n"})
    key = new_key()
    replies = all_at_once(10, lambda number: post_files(repo, key, b"%d" % number))
    assert sorted(reply.status_code for reply in replies) == [201] + [422] * 9
    assert count_moves(repo) == 2


@pytest.mark.parametrize("server", ENGINES, indirect=True)
@pytest.mark.parametrize("call", [CREATE_BRANCH, CREATE_TAG, DELETE_BRANCH], ids=lambda call: call.name)
def test_of_many_calls_with_one_key_one_moves_a_ref(history: SampleHistory, call: KeyedCall) -> None:
    before, key = count_moves(history.repo), new_key()
    replies = all_at_once(12, lambda _: call.send(history, "api", key))
    assert [reply.status_code for reply in replies] == [200] * 12, {reply.text for reply in replies}
    assert len({reply.content for reply in replies}) == 1
    assert count_moves(history.repo) == before + 1


@pytest.mark.parametrize("server", ENGINES, indirect=True)
def test_of_many_creations_with_one_key_one_makes_the_repository(org: Org) -> None:
    repo, headers = org.repo(), {"Idempotency-Key": new_key()}
    replies = all_at_once(12, lambda _: repo.v1("POST", "/repos", json={}, headers=headers))
    assert [reply.status_code for reply in replies] == [201] * 12, {reply.text for reply in replies}
    assert len({reply.content for reply in replies}) == 1
    assert repo.v1("POST", "/repos", json={}).status_code == 409


def test_two_servers_on_one_database_make_one_commit(
    start_server: StartServer, postgres_server: PostgresServer
) -> None:
    url = postgres_server.new_database()
    one = start_server(ServerOptions(database=url))
    two = start_server(ServerOptions(database=url, settings={"data": str(one.data)}))
    here = one.new_org().create_repo()
    there = Repo(Org(two, here.org.name, here.org.pair, here.org.key_id), here.name)
    here.write_commit("main", {"README.md": b"# Shop\n"})
    for number in range(5):
        key = new_key()
        replies = all_at_once(8, lambda n, key=key: post_files((here, there)[n % 2], key, b"1"))  # type: ignore[misc]  # bound at once
        assert [reply.status_code for reply in replies] == [201] * 8, {reply.text for reply in replies}
        assert len({reply.content for reply in replies}) == 1
        assert count_moves(here) == number + 2


def test_an_upstream_gets_one_of_the_commits_with_one_key(org: Org, start_server: StartServer) -> None:
    upstream = org.create_repo()
    upstream.write_commit("main", {"README.md": b"# Shop\n"})
    server = start_server(ServerOptions(workers=2, settings={"trusted_hosts": org.server.url}))
    mirror = follow(server.new_org(), upstream)
    pull(mirror)
    key = new_key()
    replies = all_at_once(6, lambda _: post_files(mirror, key, b"1"))
    assert [reply.status_code for reply in replies] == [201] * 6, {reply.text for reply in replies}
    assert len({reply.content for reply in replies}) == 1
    tip = replies[0].json()["commit"]["commit_sha"]
    assert upstream.branches()["main"] == mirror.branches()["main"] == tip
    assert count_moves(upstream) == 2


class LosesAnswers(httpx.HTTPTransport):
    """A network that loses the first answers to each client: the server has written, and no client knows."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self._left = losses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request. Lose its answer while losses are left."""
        response = super().handle_request(request)
        if self._left:
            self._left -= 1
            response.read()
            response.close()
            raise httpx.ReadError("the answer was lost", request=request)
        return response


def test_a_client_that_retries_after_lost_answers_makes_one_commit(server: Server, repo: Repo) -> None:
    repo.write_commit("main", {"README.md": b"# Shop\n"})
    body = b"".join(commit_lines("main", {"a": b"1"}))
    headers = {
        "Authorization": f"Bearer {repo.token()}",
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": str(uuid4()),
    }

    def pieces() -> Iterator[bytes]:
        yield body[:100]
        yield body[100:]

    tries = 0
    with httpx.Client(transport=LosesAnswers(2), timeout=60) as client:
        while True:
            tries += 1
            try:
                reply = client.post(
                    f"{server.url}/api/v1/repos/commit-pack", content=pieces(), headers=headers
                )
                break
            except httpx.ReadError:
                continue
    assert tries == 3
    assert reply.status_code == 201
    assert reply.headers[REPLAYED] == "true"
    assert repo.branches()["main"] == reply.json()["commit"]["commit_sha"]
    assert count_moves(repo) == 2


def test_a_large_body_is_compared_by_its_bytes_with_any_chunks_and_compression(repo: Repo) -> None:
    content = bytes(range(256)) * 4096 * 30  # 30 MiB, 40 MB on the wire
    body = b"".join(commit_lines("main", {"large": content}))

    def cut(size: int) -> Iterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    key = new_key()
    first = COMMIT.send_body(repo, "api", key, cut(1_000_000))
    assert first.status_code == 201, first.text
    assert is_replay(COMMIT.send_body(repo, "v1", key, cut(77_777)), first)
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "Idempotency-Key": key}
    packed = repo.api("POST", "/commit-pack", content=gzip.compress(body, 1), headers=headers)
    assert is_replay(packed, first)
    other = body[:-4] + b" " + body[-4:]
    assert COMMIT.send_body(repo, "api", key, other).status_code == 422
    assert count_moves(repo) == 1


def test_the_same_key_in_another_repository_or_organisation_is_another_key(server: Server, org: Org) -> None:
    key, name = new_key(), f"team/{uuid4().hex}"
    repos = [org.create_repo(name), org.create_repo(name + "2"), server.new_org().create_repo(name)]
    replies = [post_files(repo, key, b"1") for repo in repos]
    assert [reply.status_code for reply in replies] == [201] * 3
    assert not any(REPLAYED in reply.headers for reply in replies)
    assert [count_moves(repo) for repo in repos] == [1, 1, 1]


def test_a_kept_answer_needs_a_token_that_allows_the_write(repo: Repo, org: Org) -> None:
    key = new_key()
    assert post_files(repo, key, b"1").status_code == 201
    body = b"".join(commit_lines("main", {"a": b"1"}))
    headers = {"Idempotency-Key": key}
    cases = {
        403: repo.token(scopes=["git:read"]),
        401: repo.token(exp=1_000_000_000),
    }
    for status, token in cases.items():
        reply = repo.api("POST", "/commit-pack", token=token, content=body, headers=headers)
        assert reply.status_code == status, reply.text
        assert "commit_sha" not in reply.text
    other = org.sign(repo=repo.name + "x")
    assert repo.api("POST", "/commit-pack", token=other, content=body, headers=headers).status_code == 403


def test_a_refused_write_may_be_tried_again_under_its_key(repo: Repo) -> None:
    tip = repo.write_commit("main", {"a": b"0"})
    key = new_key()
    refused = post_files(repo, key, b"1", base_branch="nowhere", expected_target_sha="f" * 40)
    assert refused.status_code == 409
    assert post_files(repo, key, b"2", expected_target_sha="f" * 40).status_code == 409
    first = post_files(repo, key, b"3", expected_target_sha=tip)
    assert first.status_code == 201
    assert is_replay(post_files(repo, key, b"3", expected_target_sha=tip), first)


def test_the_key_is_the_same_in_quotes_and_bare(repo: Repo) -> None:
    first = post_files(repo, '"8e03978e-40d5"', b"1")
    assert first.status_code == 201
    for spelled in ("8e03978e-40d5", '"8e03978e-40d5";v=1'):
        assert is_replay(post_files(repo, spelled, b"1"), first), spelled
    assert post_files(repo, "8E03978E-40D5", b"1").headers.get(REPLAYED) is None


@pytest.mark.parametrize(
    "key", ["", '""', '" "', '"open', 'a"b', '"a" "b"', "a,b", "k" * 256, f'"{"k" * 256}"', "caf\xe9"]
)
def test_a_bad_key_is_400_and_nothing_is_written(repo: Repo, key: str) -> None:
    body = b"".join(commit_lines("main", {"a": b"1"}))
    headers = {"Idempotency-Key": key.encode("latin-1")}
    reply = repo.api("POST", "/commit-pack", content=body, headers=headers)
    assert reply.status_code == 400, reply.text
    assert reply.json()["result"]["status"] == "invalid"
    assert repo.branches() == {}


def test_two_keys_on_one_request_are_400(repo: Repo) -> None:
    headers = [
        ("Authorization", f"Bearer {repo.token()}"),
        ("Idempotency-Key", "a"),
        ("Idempotency-Key", "b"),
    ]
    url = f"{repo.org.server.url}/api/v1/repos/tags"
    reply = httpx.post(url, json={"name": "v", "ref": "main"}, headers=headers, trust_env=False)
    assert reply.status_code == 400


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reads_ignore_the_key(history: SampleHistory, method: str) -> None:
    for key in ("", "same", "same"):
        reply = history.repo.api(method, "/branches", headers={"Idempotency-Key": key})
        assert reply.status_code == 200
        assert REPLAYED not in reply.headers


@pytest.mark.parametrize("dialect", ["/api", "/api/v1"])
def test_a_repeated_creation_gets_the_first_answer(org: Org, dialect: str) -> None:
    repo, headers = org.repo(), {"Idempotency-Key": new_key()}
    path = f"{dialect}/repos"

    def create(**body: str) -> httpx.Response:
        return org.request("POST", path, token=repo.token(), json=body, headers=headers)

    first = create(default_branch="trunk")
    assert first.status_code == 201
    assert is_replay(create(default_branch="trunk"), first)
    assert create(default_branch="main").status_code == 422
    assert repo.v1("POST", "/repos", json={"default_branch": "trunk"}).status_code == 409


@pytest.mark.parametrize("operation", [None, "snapshot"])
def test_a_repeated_copy_gets_the_first_answer(
    history: SampleHistory, org: Org, operation: str | None
) -> None:
    headers = {"Idempotency-Key": new_key()}
    source = history.repo
    base = {"provider": "code", "name": source.name, "auth": {"token": source.token()}}
    if operation:
        base["operation"] = operation
    body: dict[str, object] = {"base_repo": base}
    if operation:
        body["initial_commit"] = {"message": "start", "author": {"name": "Ada", "email": "ada@example.test"}}
    copy = org.repo()
    first = copy.v1("POST", "/repos", json=body, headers=headers)
    assert first.status_code == 201, first.text
    assert is_replay(copy.v1("POST", "/repos", json=body, headers=headers), first)


def test_a_key_is_free_again_after_its_repository_was_deleted(org: Org) -> None:
    repo, headers = org.repo(), {"Idempotency-Key": new_key()}
    key = new_key()
    first = repo.v1("POST", "/repos", json={}, headers=headers)
    assert post_files(repo, key, b"1").status_code == 201
    assert repo.api("DELETE").status_code == 200
    assert post_files(repo, key, b"1").status_code == 404
    anew = repo.v1("POST", "/repos", json={}, headers=headers)
    assert anew.status_code == 201
    assert anew.json()["repository_id"] != first.json()["repository_id"]
    first = post_files(repo, key, b"1")
    assert first.status_code == 201
    assert REPLAYED not in first.headers


def test_the_example_of_the_page_is_answered_as_printed(new_org: Org) -> None:
    page = (ROOT / "docs/reference/idempotency.md").read_text("utf-8")
    request, answer = re.findall(r"```(?:http|json)\n(.*?)```", page, re.DOTALL)
    head, _, body = request.partition("\n\n")
    (line, field) = head.split("\n")
    repo = new_org.create_repo("apps/shop")
    ada = {"name": "Ada", "email": "ada@northwind.example", "date": "2026-01-01T00:00:09Z"}
    lin = {"name": "Lin", "email": "lin@northwind.example", "date": "2026-01-02T08:30:00Z"}
    files = {"README.md": b"# Shop\n", "docs/guide.md": b"Read me.\n"}
    repo.write_commit("main", files, message="Start", author=ada)
    repo.write_commit("main", {"src/cart.py": b"items = []\n"}, message="Add cart", author=lin)
    method, _, target = line.partition(" ")
    name, _, key = field.partition(": ")
    for times in range(2):
        reply = new_org.request(method, target, token=repo.token(), content=body, headers={name: key})
        assert (reply.status_code, reply.json()) == (200, json.loads(answer))
        assert reply.headers.get(REPLAYED) == ("true" if times else None)
        repo.write_commit("main", {"src/cart.py": b"items = [1]\n"})


def test_the_document_names_the_header_on_the_operations_that_take_it(server: Server) -> None:
    document = server.http.get(f"{server.url}/api/openapi.json").json()
    taking = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if any((p["in"], p["name"]) == ("header", "Idempotency-Key") for p in operation.get("parameters", ()))
    }
    names = {call.name for call in KEYED_CALLS if " " not in call.name} | {"create_repo"}
    released = {f"released_{name}" for name in names - {"delete_tag_by_path"}}
    assert taking == names | released
    tags = document["paths"]["/api/repos/{repo}/tags"]["post"]
    assert "422" in tags["responses"]
