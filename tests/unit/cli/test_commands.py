"""Commands on a data folder: their changes, their output and their refusals."""

import json
import re
from pathlib import Path

import jwt
import pytest

from packhouse import RELEASE, __version__
from packhouse.auth.minting import encode_private_key, public_pem_of
from packhouse.auth.public_keys import KeyRejected
from packhouse.cli.token import TTL_S
from packhouse.errors import Conflict, Invalid, NotFound
from packhouse.limits import token_max_bytes
from tests.unit.auth.forge import private_key
from tests.unit.cli.conftest import Program

pytestmark = pytest.mark.quick


@pytest.fixture
def acme(program: Program) -> Program:
    """The program on a folder with the organisation acme."""
    program.run("org", "create", "acme")
    return program


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A file with a public key."""
    path = tmp_path / "public.pem"
    path.write_text(public_pem_of(private_key("ES256")))
    return path


def test_organisations_are_created_and_listed_by_name(program: Program) -> None:
    assert program.run("org", "create", "globex") == "created organisation globex"
    assert program.run("org", "create", "acme").endswith("acme")
    listed = program.json("org", "list")
    assert [org["name"] for org in listed] == ["acme", "globex"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[0]["created_at"])
    assert program.run("org", "list").splitlines()[0] == "NAME    CREATED AT"


def test_an_organisation_exists_once_and_has_a_plain_name(acme: Program) -> None:
    assert isinstance(acme.failure("org", "create", "acme"), Conflict)
    assert isinstance(acme.failure("org", "create", "a/b"), Invalid)


def test_a_wrong_name_makes_no_data_folder(program: Program) -> None:
    program.failure("org", "create", "a/b")
    assert not program.data.exists()


@pytest.mark.parametrize("args", [["org", "list"], ["repo", "list", "acme"], ["jobs", "list"]])
def test_a_command_without_data_creates_none_and_tells_how_to_name_the_folder(
    program: Program, args: list[str]
) -> None:
    result = program.try_run(*args)
    assert result.exit_code == 1
    assert f"no Packhouse data in {program.data} (set --data or PACKHOUSE_DATA)" in result.stderr
    assert not program.data.exists()


def test_a_key_is_added_listed_and_revoked(acme: Program, pem: Path) -> None:
    words = acme.run("key", "add", "acme", str(pem), "--label", "build", "--kid", "k1").split()
    assert words[:3] == ["added", "ES256", "key"]
    key_id = words[-1]
    (listed,) = acme.json("key", "list", "acme")
    assert (listed["key_id"], listed["label"], listed["kid"]) == (key_id, "build", "k1")
    assert listed["revoked_at"] is None
    assert acme.run("key", "revoke", "acme", key_id) == f"revoked {key_id}"
    (revoked,) = acme.json("key", "list", "acme")
    assert revoked["revoked_at"] is not None
    assert isinstance(acme.failure("key", "revoke", "acme", "key_none"), NotFound)


def test_a_key_may_come_from_standard_input(acme: Program, pem: Path) -> None:
    assert "added ES256 key" in acme.run("key", "add", "acme", "-", stdin=pem.read_text())


def test_a_private_key_cannot_be_added(acme: Program, tmp_path: Path) -> None:
    path = tmp_path / "private.pem"
    path.write_text(encode_private_key(private_key("ES256")))
    failure = acme.failure("key", "add", "acme", str(path))
    assert isinstance(failure, KeyRejected)
    assert acme.json("key", "list", "acme") == []


def test_a_file_that_does_not_exist_is_a_wrong_call(acme: Program) -> None:
    assert "does not exist" in acme.usage("key", "add", "acme", "nowhere.pem")


@pytest.fixture
def private_pem(tmp_path: Path) -> str:
    """The name of a file with a private key."""
    path = tmp_path / "private.pem"
    path.write_text(encode_private_key(private_key("ES256")))
    return str(path)


def decode(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, private_key("ES256").public_key(), algorithms=["ES256"])
    return claims


def test_a_token_is_signed_without_data_and_holds_the_given_claims(
    program: Program, private_pem: str
) -> None:
    token = program.run(
        *("token", "acme", "--key", private_pem, "--repo", "apps/shop", "--scope", "git:write", "repo:write"),
        *("--ref-policy", "refs/heads/a=b=no-push,no-force-push", "--ref-policy", "refs/heads/*="),
    )
    claims = decode(token)
    assert (claims["iss"], claims["sub"], claims["repo"]) == ("acme", "packhouse", "apps/shop")
    assert claims["scopes"] == ["git:write", "repo:write"]
    assert claims["refs"] == [["refs/heads/a=b", ["no-push", "no-force-push"]], ["refs/heads/*", []]]
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == TTL_S
    assert not program.data.exists()


def test_a_token_without_a_repository_is_for_the_organisation(program: Program, private_pem: str) -> None:
    claims = decode(program.run("token", "acme", "--key", private_pem, "--scope", "org:read", "--ttl", "60"))
    assert claims["repo"] == "org"
    assert "refs" not in claims


def test_an_unknown_operation_causes_a_warning_and_is_signed(program: Program, private_pem: str) -> None:
    result = program.try_run(
        "token", "acme", "--key", private_pem, "--scope", "git:read", "--ref-policy", "refs/heads/*=no-fun"
    )
    assert result.exit_code == 0
    assert "operation no-fun is unknown" in result.stderr
    assert decode(result.stdout.strip())["refs"] == [["refs/heads/*", ["no-fun"]]]


@pytest.mark.parametrize(
    "args",
    [
        ["--scope", "git:everything"],
        ["--scope", "git:read", "--ttl", "0"],
        ["--scope", "git:read", "--ref-policy", "refs/heads/main"],
        ["--scope", "git:read", "--ref-policy", "=no-push"],
        ["--scope", "git:read", "--repo", "x" * token_max_bytes],
        [],
    ],
)
def test_a_token_that_every_server_would_refuse_is_not_signed(
    program: Program, private_pem: str, args: list[str]
) -> None:
    assert "Usage" in program.usage("token", "acme", "--key", private_pem, *args)


def test_an_organisation_without_repositories_has_an_empty_list(acme: Program) -> None:
    assert acme.json("repo", "list", "acme") == []
    assert isinstance(acme.failure("repo", "list", "nobody"), NotFound)
    for verb in ("show", "delete", "undelete"):
        assert isinstance(acme.failure("repo", verb, "acme", "apps/shop"), NotFound)
    assert acme.run("repo", "adopt", "acme") == "no unlisted packs"


def test_a_webhook_is_added_listed_and_removed(acme: Program) -> None:
    added = acme.json("webhook", "add", "acme", "https://example.org/hook", "--event", "push")
    assert added["events"] == ["push"]
    assert len(added["secret"]) >= 20
    listed = acme.run("webhook", "list", "acme")
    assert added["id"] in listed and added["secret"] not in listed
    assert acme.json("webhook", "deliveries", "acme", added["id"]) == []
    assert acme.run("webhook", "remove", "acme", added["id"]) == f"removed {added['id']}"
    assert acme.json("webhook", "list", "acme") == []


def test_the_secret_of_a_webhook_may_be_the_first_line_of_a_file(acme: Program, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"correct horse battery staple\r\nanother line\n")
    added = acme.json("webhook", "add", "acme", "https://example.org/hook", "--secret-file", str(path))
    assert added["secret"] == "correct horse battery staple"
    both = ("--secret", "x" * 30, "--secret-file", str(path))
    assert "exclude each other" in acme.usage("webhook", "add", "acme", "https://example.org/hook", *both)


def test_stored_secrets_are_sealed_with_a_new_key(acme: Program) -> None:
    acme.run("webhook", "add", "acme", "https://example.org/hook")
    first, second = acme.json("secrets", "rotate"), acme.json("secrets", "rotate", "--drop-old")
    assert first["key_id"] != second["key_id"]
    assert (first["resealed"], first["keys_dropped"]) == (1, 0)
    assert second["resealed"] == 1
    assert second["keys_dropped"] >= 1


def test_without_jobs_the_list_is_empty(acme: Program) -> None:
    assert acme.json("jobs", "list") == []


def test_the_version_names_the_programs_and_libraries_in_use(program: Program) -> None:
    shown = program.json("version")
    assert (shown["version"], shown["release"]) == (__version__, RELEASE)
    assert re.fullmatch(r"\d+\.\d+.*", shown["git"])
    assert set(shown) == {"version", "release", "git", "libgit2", "pygit2", "sqlite", "python"}
    lines = program.run("version").splitlines()
    assert lines[0] == f"packhouse {__version__}"
    assert not program.data.exists()


def test_json_is_one_document_on_a_line(acme: Program) -> None:
    for args in (["org", "list"], ["repo", "list", "acme"], ["key", "list", "acme"], ["version"]):
        text = acme.run(*args, "--json")
        assert "\n" not in text
        json.loads(text)
