"""Tokens, scopes, the repository claim and ref policies, over the API and over git."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.builders.keys import make_key_pair, sign_token, usual_claims
from tests.support.clients.git import Git, GitError
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server
from tests.support.waiting import WAIT_S, comes_true

Refs = list[list[Any]]


def call(server: Server, path: str, authorization: str | None, **options: Any) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return server.http.get(server.url + path, headers=headers, **options)


def problem(reply: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = reply.json()
    assert body["status"] == reply.status_code
    assert body["error"] == body["detail"]
    return body


def assert_unauthenticated(reply: httpx.Response, token: str = "") -> str:
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    sentence: str = problem(reply)["error"]
    for part in token.split("."):
        assert len(part) < 8 or part not in reply.text
    return sentence


# Tokens


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Digest x", "Bearer a b", "x"])
def test_a_call_without_a_usable_header_is_challenged(server: Server, authorization: str | None) -> None:
    for path in ("/api/v1/repos", "/api/repos", "/api/repos/a%2Fb/branches"):
        assert_unauthenticated(call(server, path, authorization))


def test_the_scheme_is_case_insensitive_and_basic_is_for_git_only(repo: Repo, server: Server) -> None:
    token = repo.token()
    assert call(server, "/api/v1/repo", f"bEaReR {token}").status_code == 200
    basic = base64.b64encode(f"t:{token}".encode()).decode()
    assert_unauthenticated(call(server, "/api/v1/repo", f"Basic {basic}"), token)


@pytest.mark.parametrize("key", ["token", "access_token", "Authorization", "jwt"])
def test_a_token_in_the_query_is_not_accepted(repo: Repo, server: Server, key: str) -> None:
    assert_unauthenticated(call(server, "/api/v1/repo", None, params={key: repo.token()}))


def unsigned(claims: dict[str, Any], alg: str) -> str:
    parts = [json.dumps({"alg": alg}), json.dumps(claims), "signature"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


BAD_TOKENS: dict[str, tuple[Callable[[Org, dict[str, Any]], str], str]] = {
    "no token": (lambda org, claims: "nonsense", "three parts"),
    "four parts": (lambda org, claims: sign_token(org.pair, claims) + ".x", "three parts"),
    "no JSON": (lambda org, claims: "YWJj.YWJj.YWJj", "JSON"),
    "too large": (lambda org, claims: sign_token(org.pair, {**claims, "x": "y" * 20_000}), "too large"),
    "alg none": (lambda org, claims: unsigned(claims, "none"), "algorithm"),
    "alg HS256": (lambda org, claims: unsigned(claims, "HS256"), "algorithm"),
    "other key": (lambda org, claims: sign_token(make_key_pair(), claims), "verifies"),
    "other type of key": (lambda org, claims: sign_token(make_key_pair("ed25519"), claims), "no active key"),
    "unknown issuer": (lambda org, claims: sign_token(org.pair, {**claims, "iss": "nobody"}), "issuer"),
    "issuer no database takes": (
        lambda org, claims: sign_token(org.pair, {**claims, "iss": "a\0b"}),
        "issuer",
    ),
    "expired": (lambda org, claims: sign_token(org.pair, {**claims, "exp": 1}), "expired"),
    "no expiry": (lambda org, claims: sign_token(org.pair, {**claims, "exp": None}), "expiry"),
    "not yet": (lambda org, claims: sign_token(org.pair, {**claims, "nbf": 2**40}), "not yet valid"),
    "from the future": (lambda org, claims: sign_token(org.pair, {**claims, "iat": 2**40}), "future"),
    "no scopes": (lambda org, claims: sign_token(org.pair, {**claims, "scopes": None}), "scopes"),
    "scopes no list": (lambda org, claims: sign_token(org.pair, {**claims, "scopes": "git:read"}), "scopes"),
    "repo no string": (lambda org, claims: sign_token(org.pair, {**claims, "repo": 7}), "repo"),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_a_bad_token_is_refused_everywhere_with_a_sentence_about_the_failed_check(
    repo: Repo, server: Server, case: str
) -> None:
    make, words = BAD_TOKENS[case]
    token = make(repo.org, usual_claims(repo.org.name, repo.name, ["git:read", "git:write", "org:read"]))
    for reply in (repo.v1("GET", "/repo", token=token), repo.api("GET", token=token)):
        assert words in assert_unauthenticated(reply, token)
    commit = repo.post_commit("main", {"a": b"1"}, token=token)
    assert words in assert_unauthenticated(commit, token)
    assert commit.json()["result"]["status"] == "unauthorized"
    over_git = server.http.get(
        f"{server.url}/{repo.name}.git/info/refs?service=git-upload-pack", auth=("t", token)
    )
    assert over_git.status_code == 401
    assert over_git.headers["www-authenticate"].startswith("Basic ")
    assert over_git.headers["content-type"].startswith("text/plain")
    assert words in over_git.text
    assert token not in over_git.text


def test_a_token_for_a_year_is_accepted(repo: Repo) -> None:
    assert repo.api("GET", token=repo.token(exp=int(time.time()) + 365 * 86400)).status_code == 200


def test_keys_of_all_types_sign_side_by_side_with_and_without_kid(new_org: Org, server: Server) -> None:
    pairs = [make_key_pair(kind) for kind in ("ec", "rsa", "ed25519", "ec")]
    for number, pair in enumerate(pairs):
        server.add_key(new_org.name, pair, "--kid", f"kid{number}")
    claims = usual_claims(new_org.name, None, ["org:read"])
    tokens = [sign_token(pair, claims, {"kid": kid}) for pair in pairs for kid in ("kid1", "kid3", "none")]
    tokens += [sign_token(pair, claims) for pair in [*pairs, new_org.pair]]
    assert comes_true(lambda: call(server, "/api/repos", f"Bearer {tokens[-2]}").status_code == 200)
    assert {call(server, "/api/repos", f"Bearer {token}").status_code for token in tokens} == {200}


# Keys that come and go


@pytest.mark.parametrize("server", ["sqlite", "postgres", "workers"], indirect=True)
def test_keys_are_rotated_on_a_running_server(new_org: Org, server: Server) -> None:
    def statuses(token: str) -> set[int]:
        # New connections, so that every process of the server is asked.
        return {
            httpx.get(
                f"{server.url}/api/repos", headers={"Authorization": f"Bearer {token}"}, timeout=WAIT_S
            ).status_code
            for _ in range(8)
        }

    new = make_key_pair()
    old_token = new_org.sign(scopes=["org:read"])
    new_token = sign_token(new, usual_claims(new_org.name, "org", ["org:read"]))
    assert comes_true(lambda: statuses(old_token) == {200})
    assert statuses(new_token) == {401}
    server.add_key(new_org.name, new)
    assert comes_true(lambda: statuses(new_token) == {200})
    assert statuses(old_token) == {200}
    server.cli("key", "revoke", new_org.name, new_org.key_id)
    assert comes_true(lambda: statuses(old_token) == {401})
    assert statuses(new_token) == {200}


# Scopes


def test_a_missing_scope_is_401_on_released_paths_and_403_elsewhere(repo: Repo, server: Server) -> None:
    token = repo.token(scopes=["org:read", "repo:write"])
    assert_unauthenticated(repo.v1("GET", "/repos/branches", token=token), token)
    assert repo.api("GET", "/branches", token=token).status_code == 403
    assert repo.post_commit("main", {"a": b"1"}, token=repo.token(scopes=["git:read"])).status_code == 403
    refs = f"{server.url}/{repo.name}.git/info/refs?service="
    assert server.http.get(refs + "git-upload-pack", auth=("t", token)).status_code == 403
    reader = repo.token(scopes=["git:read"])
    assert server.http.get(refs + "git-upload-pack", auth=("t", reader)).status_code == 200
    assert server.http.get(refs + "git-receive-pack", auth=("t", reader)).status_code == 403


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        ("git:read", {"get", "branches"}),
        ("git:write", {"get", "branches", "commit"}),
        ("repo:write", {"get", "update"}),
        ("org:read", {"list"}),
        ("deployment:write", set()),
    ],
)
def test_a_scope_allows_its_own_calls_and_no_others(repo: Repo, scope: str, may: set[str]) -> None:
    token = repo.token(scopes=[scope])
    replies = {
        "get": repo.api("GET", token=token),
        "branches": repo.api("GET", "/branches", token=token),
        "commit": repo.post_commit("main", {"a": b"1"}, token=token),
        "update": repo.api("PATCH", token=token, json={"default_branch": "main"}),
        "list": repo.org.request("GET", "/api/repos", token=token),
    }
    assert {name for name, reply in replies.items() if reply.is_success} == may
    assert {reply.status_code for reply in replies.values() if not reply.is_success} <= {403}


def test_listing_needs_its_own_scope_with_every_repo_claim(repo: Repo) -> None:
    for claim in ("org", None, repo.name):
        lister = repo.org.sign(repo=claim, scopes=["org:read"])
        other = repo.org.sign(repo=claim, scopes=["git:read", "git:write", "repo:write"])
        assert repo.org.request("GET", "/api/v1/repos", token=lister).status_code == 200
        assert repo.org.request("GET", "/api/repos", token=lister).status_code == 200
        assert repo.org.request("GET", "/api/v1/repos", token=other).status_code == 401
        assert repo.org.request("GET", "/api/repos", token=other).status_code == 403


# The repository claim


@pytest.mark.parametrize("claim", ["org", None, "", "other", "team", "TEAM"])
def test_a_token_with_another_repo_claim_does_not_open_a_repository(
    repo: Repo, server: Server, claim: str
) -> None:
    token = repo.org.sign(repo=claim)
    assert repo.api("GET", token=token).status_code == 403
    assert repo.post_commit("main", {"a": b"1"}, token=token).status_code == 403
    assert problem(repo.api("GET", "/branches", token=token))["error"]
    refs = f"{server.url}/{repo.name}.git/info/refs?service=git-upload-pack"
    assert server.http.get(refs, auth=("t", token)).status_code == 403


@pytest.mark.parametrize("claim", ["org", None])
def test_an_organisation_token_on_a_released_repository_path_is_403(org: Org, claim: str | None) -> None:
    assert org.request("GET", "/api/v1/repo", token=org.sign(repo=claim)).status_code == 403


def test_the_repo_claim_is_compared_by_code_points(org: Org) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    repo = org.create_repo(composed)
    assert repo.api("GET").status_code == 200
    for claim in (decomposed, composed.upper(), composed + " ", composed + "/"):
        assert repo.api("GET", token=org.sign(repo=claim)).status_code == 403


def test_a_remote_with_escapes_names_the_repository_of_the_token(org: Org, server: Server) -> None:
    decoded, written = org.create_repo("claim/a b"), org.create_repo("claim/a%20b")
    refs = f"{server.url}/claim/a%20b.git/info/refs?service=git-upload-pack"
    for repo in (decoded, written):
        tip = repo.write_commit("main", {"a": repo.name.encode()})
        assert tip in server.http.get(refs, auth=("t", repo.token())).text
    assert server.http.get(refs, auth=("t", org.sign(repo="claim/a%2520b"))).status_code == 403
    once_more = refs.replace("%20", "%2520")
    assert server.http.get(once_more, auth=("t", written.token())).status_code == 200
    assert server.http.get(once_more, auth=("t", decoded.token())).status_code == 403


def test_a_right_token_for_a_repository_that_does_not_exist_is_404(org: Org, server: Server) -> None:
    repo = org.repo("not/there")
    assert repo.api("GET").status_code == 404
    assert repo.v1("GET", "/repo").status_code == 404
    refs = f"{server.url}/not/there.git/info/refs?service=git-upload-pack"
    assert server.http.get(refs, auth=("t", repo.token())).status_code == 404
    assert server.http.get(refs).status_code == 401


@pytest.mark.parametrize("claim", ["a\0b", "../x", "a//b", "x" * 3000, "\u202e"])
def test_a_repo_claim_of_no_possible_name_is_answered_400_or_404(org: Org, claim: str) -> None:
    reply = org.request("GET", "/api/v1/repo", token=org.sign(repo=claim))
    assert reply.status_code in (400, 404)


def test_the_same_name_in_two_organisations_is_two_repositories(org: Org, new_org: Org) -> None:
    mine = org.create_repo("shared/name")
    mine.write_commit("main", {"a": b"mine"})
    theirs = new_org.create_repo("shared/name")
    assert theirs.branches() == {}
    assert (
        theirs.api("GET", "/branches", token=new_org.sign(iss=org.name, repo="shared/name")).status_code
        == 401
    )


# Git


def test_git_takes_the_token_as_password_or_bearer_with_any_user_name(repo: Repo, server: Server) -> None:
    refs = f"{server.url}/{repo.name}.git/info/refs?service=git-upload-pack"
    challenge = server.http.get(refs)
    assert challenge.status_code == 401
    assert challenge.headers["www-authenticate"] == 'Basic realm="code storage", charset="UTF-8"'
    for user in ("t", "x-access-token", ""):
        assert server.http.get(refs, auth=(user, repo.token())).status_code == 200
    assert server.http.get(refs, headers={"Authorization": f"Bearer {repo.token()}"}).status_code == 200
    for bad in (("t", ""), (repo.token(), "nonsense"), ("t", "nonsense")):
        assert server.http.get(refs, auth=bad).status_code == 401


# Ref policies


def commit(repo: Repo, branch: str, refs: object, **options: Any) -> httpx.Response:
    return repo.post_commit(branch, {"file": branch.encode()}, token=repo.token(refs=refs), **options)


def assert_policy_refusal(reply: httpx.Response) -> None:
    assert reply.status_code == 403
    body = problem(reply)
    assert body["error"].startswith("denied by policy")
    assert body["result"]["status"] == "forbidden"
    assert body["result"]["message"].startswith("denied by policy")


def test_the_first_rule_of_a_policy_that_matches_decides(repo: Repo) -> None:
    refs: Refs = [["agents/*", []], ["*", ["no-push"]]]
    repo.write_commit("main", {"a": b"1"})
    before = repo.branches()
    assert_policy_refusal(commit(repo, "main", refs))
    assert repo.branches() == before
    assert commit(repo, "agents/one/two", refs, base_branch="main").status_code == 201
    assert_policy_refusal(commit(repo, "agents", refs, base_branch="main"))


@pytest.mark.parametrize("op", ["no-push", "verify-sig", "no-such-op"])
def test_no_push_verify_sig_and_unknown_ops_refuse_a_commit_over_http(repo: Repo, op: str) -> None:
    repo.write_commit("main", {"a": b"1"})
    refusal = commit(repo, "main", [["main", [op]]])
    assert_policy_refusal(refusal)
    assert op in refusal.json()["error"]
    assert commit(repo, "other", [["main", [op]]], base_branch="main").status_code == 201


def test_no_force_push_lets_commits_over_http_through(repo: Repo) -> None:
    for _ in range(2):
        assert commit(repo, "main", [["*", ["no-force-push"]]]).status_code == 201


def test_ops_of_the_older_claim_apply_too(repo: Repo) -> None:
    assert_policy_refusal(repo.post_commit("main", {"a": b"1"}, token=repo.token(ops=["no-push"])))


@pytest.mark.parametrize(
    "refs", [None, "main", {}, ["main"], [["main"]], [["ma*n", []]], [["main", "no-push"]], [[1, []]]]
)
def test_a_malformed_policy_stops_writes_and_not_reads(
    repo: Repo, git: Git, tmp_path: Path, refs: object
) -> None:
    repo.write_commit("main", {"a": b"1"})
    claims = {**usual_claims(repo.org.name, repo.name, ["git:write"]), "ops": []}
    token = sign_token(repo.org.pair, {**claims, **({"ops": 1} if refs is None else {"refs": refs})})
    assert repo.api("GET", "/branches", token=token).status_code == 200
    refusal = repo.post_commit("main", {"a": b"2"}, token=token)
    assert refusal.status_code == 403
    assert refusal.json()["result"]["status"] == "forbidden"
    work = git.clone(repo.remote(token=token), tmp_path / "work")
    git.commit(work, {"b": b"2"})
    with pytest.raises(GitError):
        git.run("push", "origin", "main", cwd=work)
    assert list(repo.branches().values()) == [git.run("rev-parse", "origin/main", cwd=work)]


def test_ephemeral_refs_match_by_either_name(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    stored = "refs/namespaces/ephemeral/refs/heads/*"
    for refs in ([["work", ["no-push"]]], [[stored, ["no-push"]]]):
        assert_policy_refusal(commit(repo, "work", refs, ephemeral=True, base_branch="main"))
    assert commit(repo, "work", [[stored, ["no-push"]]], base_branch="main").status_code == 201


def push(git: Git, work: Path, *refspecs: str) -> str:
    done = git.try_run("push", "--porcelain", *refspecs, cwd=work)
    return (done.stdout + done.stderr).decode()


def test_a_push_is_refused_per_ref_with_the_words_that_clients_look_for(
    repo: Repo, git: Git, tmp_path: Path
) -> None:
    repo.write_commit("main", {"a": b"1"})
    work = git.clone(repo.remote(refs=[["main", ["no-push"]]]), tmp_path / "work")
    git.commit(work, {"b": b"2"})
    said = push(git, work, "origin", "HEAD:main", "HEAD:other")
    assert "denied by policy (no-push)" in said
    assert set(repo.branches()) == {"main", "other"}
    assert "denied by policy" in push(git, work, "--atomic", "origin", "HEAD:main", "HEAD:third")
    assert set(repo.branches()) == {"main", "other"}


def test_no_force_push_refuses_forced_pushes_over_git(repo: Repo, git: Git, tmp_path: Path) -> None:
    repo.write_commit("main", {"a": b"1"})
    work = git.clone(repo.remote(refs=[["*", ["no-force-push"]]]), tmp_path / "work")
    git.commit(work, {"b": b"2"})
    git.run("push", "--quiet", "origin", "HEAD:main", "HEAD:side", cwd=work)
    tip = git.commit(work, {"c": b"3"})
    git.run("push", "--quiet", "--force", "origin", "HEAD:main", cwd=work)
    git.run("reset", "--hard", "--quiet", "HEAD~1", cwd=work)
    git.commit(work, {"d": b"4"})
    assert "denied by policy (no-force-push)" in push(git, work, "--force", "origin", "HEAD:main")
    assert "denied by policy (no-force-push)" in push(git, work, "origin", ":side")
    assert repo.branches()["main"] == tip
    assert "side" in repo.branches()


@pytest.mark.parametrize("op", ["verify-sig", "no-such-op"])
def test_ops_that_cannot_be_checked_refuse_pushes(repo: Repo, git: Git, tmp_path: Path, op: str) -> None:
    repo.write_commit("main", {"a": b"1"})
    work = git.clone(repo.remote(refs=[["main", [op]]]), tmp_path / "work")
    git.commit(work, {"b": b"2"})
    assert f"denied by policy ({op})" in push(git, work, "origin", "HEAD:main")
    assert "denied by policy" not in push(git, work, "origin", "HEAD:free")
