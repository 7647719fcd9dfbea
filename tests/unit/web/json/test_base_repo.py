"""Reading `base_repo` and `initial_commit` of a new repository."""

from typing import Any

import pytest

from packhouse.errors import FieldInvalid, FieldMissing, Invalid
from packhouse.git.objects.codec import Person
from packhouse.git.refname import NewNameRefused
from packhouse.operations.repos.bases import ForkBase, SnapshotBase, UpstreamBase
from packhouse.web.json.base_repo import (
    BaseOperationUnknown,
    ForeignProvider,
    InitialCommitUnexpected,
    PartOfUpstream,
    ProviderUnknown,
    SnapshotByOid,
    SourceTokenRequired,
    UpstreamAuthInvalid,
    parse_base,
    parse_base_branch,
    parse_default_branch,
)

pytestmark = pytest.mark.quick

OID = "0123456789abcdef0123456789abcdef01234567"
TOKEN = {"token": " t "}
COMMIT = {"message": " Start ", "author": {"name": "Ada", "email": "ada@example.test"}}


def parse(fields: dict[str, Any], commit: dict[str, Any] | None = None) -> object:
    """Return the base that the fields ask for, at second 1000."""
    return parse_base(fields, commit, now=1000)


def misfit(fields: dict[str, Any], commit: dict[str, Any] | None = None) -> str:
    """Return the member that is missing or does not fit."""
    with pytest.raises((FieldInvalid, FieldMissing)) as refused:
        parse(fields, commit)
    return str(refused.value.fields["field"])


# Forks


@pytest.mark.parametrize(
    "words",
    [{"operation": "fork"}, {"provider": "code"}, {"provider": " code.storage ", "operation": " fork "}],
)
def test_a_fork_is_asked_for_by_its_operation_or_by_our_own_provider(words: dict[str, str]) -> None:
    assert parse({**words, "name": " r ", "auth": TOKEN}) == ForkBase("r", "t")


def test_a_fork_may_be_of_a_ref_or_of_a_commit() -> None:
    fields = {"operation": "fork", "name": "r", "auth": TOKEN, "ref": " v1 ", "sha": f" {OID.upper()} "}
    assert parse(fields) == ForkBase("r", "t", "v1", OID)  # type: ignore[arg-type]  # digits are an id
    assert parse({**fields, "ref": "  ", "sha": None}) == ForkBase("r", "t")
    with pytest.raises(Invalid):
        parse({**fields, "sha": "main"})


def test_a_fork_needs_a_name_and_a_token() -> None:
    assert misfit({"operation": "fork", "auth": TOKEN}) == "base_repo.name"
    assert misfit({"operation": "fork", "name": " ", "auth": TOKEN}) == "base_repo.name"
    for auth in (None, {}, {"token": ""}, {"token": " "}, {"token": 1}, {"token": None}):
        with pytest.raises(SourceTokenRequired):
            parse({"operation": "fork", "name": "r", "auth": auth})


def test_a_base_on_another_server_is_not_a_fork() -> None:
    for operation in ("fork", "snapshot"):
        with pytest.raises(ForeignProvider):
            parse({"operation": operation, "provider": "github", "name": "r", "auth": TOKEN}, None)


# Snapshots


def test_a_snapshot_has_a_commit_of_its_own() -> None:
    fields = {"operation": "snapshot", "name": "r", "auth": TOKEN, "ref": "main"}
    ada = Person("Ada", "ada@example.test", 1000, "+0000")
    assert parse(fields, COMMIT) == SnapshotBase("r", "t", "main", b"Start\n", ada)


def test_the_date_of_a_snapshots_author_may_be_given() -> None:
    fields = {"operation": "snapshot", "name": "r", "auth": TOKEN}
    author = {**COMMIT["author"], "date": "1970-01-01T02:00:00+02:00"}  # type: ignore[dict-item]  # an object
    made = parse(fields, {**COMMIT, "author": author})
    assert isinstance(made, SnapshotBase)
    assert made.author == Person("Ada", "ada@example.test", 0, "+0200")


@pytest.mark.parametrize(
    ("commit", "field"),
    [
        (None, "initial_commit"),
        ({}, "initial_commit.message"),
        ({**COMMIT, "message": " "}, "initial_commit.message"),
        ({**COMMIT, "message": 1}, "initial_commit.message"),
        ({"message": "m"}, "initial_commit.author"),
        ({**COMMIT, "author": "Ada"}, "initial_commit.author"),
        ({**COMMIT, "author": {"email": "a@b"}}, "initial_commit.author.name"),
        ({**COMMIT, "author": {"name": "Ada"}}, "initial_commit.author.email"),
        ({**COMMIT, "author": {"name": "Ada", "email": "a@b", "date": 5}}, "initial_commit.author.date"),
    ],
)
def test_the_missing_member_of_a_first_commit_is_named(commit: dict[str, Any] | None, field: str) -> None:
    assert misfit({"operation": "snapshot", "name": "r", "auth": TOKEN}, commit) == field


def test_a_snapshot_is_taken_of_a_ref_and_a_first_commit_goes_with_nothing_else() -> None:
    with pytest.raises(SnapshotByOid):
        parse({"operation": "snapshot", "name": "r", "auth": TOKEN, "sha": OID}, COMMIT)
    for fields in ({"operation": "fork", "name": "r", "auth": TOKEN}, {"owner": "o", "name": "n"}):
        with pytest.raises(InitialCommitUnexpected):
            parse(fields, COMMIT)


# Upstreams


@pytest.mark.parametrize("words", [{}, {"operation": "sync"}, {"provider": "github"}, {"provider": None}])
def test_an_upstream_is_followed_by_default(words: dict[str, str]) -> None:
    assert parse({**words, "owner": " o ", "name": " n "}) == UpstreamBase("github", "o", "n")


def test_a_host_is_kept_in_lower_case() -> None:
    fields = {"provider": "gitea", "owner": "o/p", "name": "n", "upstream_host": " Forge.Example:8443 "}
    assert parse(fields) == UpstreamBase("gitea", "o/p", "n", "forge.example:8443")


def test_a_provider_without_a_usual_host_needs_one() -> None:
    assert misfit({"provider": "gitea", "owner": "o", "name": "n"}) == "base_repo.upstream_host"
    assert parse({"provider": "gitlab", "owner": "o", "name": "n"}) == UpstreamBase("gitlab", "o", "n")


@pytest.mark.parametrize("host", ["https://a", "a/b", "a:0", "a:65536", "a:x", "u@a", "a b", "[::1", "é"])
def test_a_host_is_a_bare_name_with_an_optional_port(host: str) -> None:
    assert misfit({"owner": "o", "name": "n", "upstream_host": host}) == "base_repo.upstream_host"


@pytest.mark.parametrize("host", ["a", "a.b-c_d", "127.0.0.1", "[::1]", "[::1]:65535", "a:1"])
def test_addresses_and_ports_are_hosts(host: str) -> None:
    assert parse({"owner": "o", "name": "n", "upstream_host": host}) == UpstreamBase("github", "o", "n", host)


@pytest.mark.parametrize(
    "text",
    [
        *("a//b", "/a", "a/", ".", "..", "a/../b", "a b", "a\\b", "a?b", "a#b", "a%2e", "a@b", "a:b"),
        *("a\x00", "x" * 256, "é" * 128, "a\u200b"),
    ],
)
def test_owner_and_name_can_only_be_folders_in_an_address(text: str) -> None:
    assert misfit({"owner": text, "name": "n"}) == "base_repo.owner"
    assert misfit({"owner": "o", "name": text}) == "base_repo.name"


def test_a_name_has_no_slash_and_both_are_needed() -> None:
    assert misfit({"owner": "o", "name": "a/b"}) == "base_repo.name"
    assert misfit({"name": "n"}) == "base_repo.owner"
    assert misfit({"owner": "o"}) == "base_repo.name"
    assert misfit({}) == "base_repo.owner"


@pytest.mark.parametrize("member", ["ref", "sha"])
def test_an_upstream_is_followed_as_a_whole(member: str) -> None:
    with pytest.raises(PartOfUpstream) as refused:
        parse({"owner": "o", "name": "n", member: "main"})
    assert refused.value.field == f"base_repo.{member}"


def test_a_github_upstream_may_be_public() -> None:
    public = {"auth_type": "public"}
    made = parse({"owner": "o", "name": "n", "auth": public})
    assert made == UpstreamBase("github", "o", "n", is_public=True)
    for fields in ({"auth": {"auth_type": "app"}}, {"auth": public, "provider": "gitlab"}, {"auth": TOKEN}):
        with pytest.raises(UpstreamAuthInvalid):
            parse({"owner": "o", "name": "n", **fields})
    assert parse({"owner": "o", "name": "n", "auth": {}}) == UpstreamBase("github", "o", "n")
    assert misfit({"owner": "o", "name": "n", "auth": "public"}) == "base_repo.auth"


# Rules for all bases


def test_other_words_are_refused() -> None:
    with pytest.raises(BaseOperationUnknown):
        parse({"operation": "copy", "name": "r"})
    with pytest.raises(ProviderUnknown) as refused:
        parse({"provider": "x" * 200, "owner": "o", "name": "n"})
    assert refused.value.provider == "x" * 100


@pytest.mark.parametrize("member", ["operation", "provider", "name", "owner", "ref", "sha", "upstream_host"])
def test_members_are_text(member: str) -> None:
    assert misfit({"owner": "o", "name": "n", member: 5}) == f"base_repo.{member}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        (" trunk ", b"trunk"),
        ("refs/heads/a/b", b"a/b"),
        ("é", "é".encode()),
    ],
)
def test_a_default_branch_is_a_branch_or_absent(text: str | None, name: bytes | None) -> None:
    refname = None if name is None else b"refs/heads/" + name
    assert parse_default_branch(text) == refname
    assert parse_base_branch({"default_branch": text}) == refname


def test_a_default_branch_that_nobody_could_push_is_refused() -> None:
    for text in ("-x", "1" * 40, "refs/heads/HEAD"):
        with pytest.raises(NewNameRefused):
            parse_default_branch(text)
    for text in ("HEAD", "a..b", "refs/tags/x", "refs/heads/refs/x", "\ud800"):
        with pytest.raises(Invalid):
            parse_default_branch(text)
    with pytest.raises(FieldInvalid):
        parse_base_branch({"default_branch": 1})
