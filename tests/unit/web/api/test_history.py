"""Commits over the whole pipeline: the exact bytes of each answer."""

from typing import Any
from urllib.parse import quote

import pytest

from packhouse.auth.principal import operator_principal
from packhouse.db.orgs import find_org
from packhouse.db.ref_transaction import RefUpdate
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.git.refname import PERSISTENT
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import MAIN, move_refs
from tests.unit.web.api.conftest import Client, as_sent, commit_files, new_commit, shown

pytestmark = pytest.mark.quick

IMMUTABLE = "private, max-age=31536000, immutable"


def commit(oid: str, *parents: str, message: str = "m", **more: str) -> dict[str, Any]:
    return {
        "sha": oid,
        "parent_shas": list(parents),
        "message": message,
        "author_name": "Ada",
        "author_email": "ada@example.test",
        "committer_name": "Ada",
        "committer_email": "ada@example.test",
        "date": "2020-01-01T00:00:00Z",
        **more,
    }


def put_raw_commit(node: Node, content: bytes) -> Oid:
    """Move main to a commit of these bytes."""
    with node.database.read() as session:
        org = find_org(session, "acme")
    assert org is not None
    caller = operator_principal(org.id, org.name)
    repo = lookup_repo(node, caller, "r")
    with RepoView(node, repo) as view, Write(view) as write:
        write.writer.add_object("tree", b"")
        oid = write.writer.add_object("commit", content)
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, oid, any_old=True), write=write)
    return oid


def test_a_history_is_shown_newest_first_page_by_page(repo: Client) -> None:
    first = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    second = new_commit(commit_files(repo, "main", {b"a": b"2\n"}, message='Say "two"\n\nü\t'))
    sent = repo.call("GET", "/commits?limit=1")
    newest = commit(second, first, message='Say "two"\n\nü')
    expected = {"commits": [newest], "has_more": True, "next_cursor": f"1:{second}"}
    assert shown(sent) == (200, as_sent(expected))
    assert sent.headers["cache-control"] == "private, no-cache"
    rest = repo.call("GET", f"/commits?limit=1&cursor=1:{second}")
    assert shown(rest) == (200, as_sent({"commits": [commit(first)], "has_more": False}))


def test_a_cursor_may_be_a_bare_number_of_commits(repo: Client) -> None:
    first = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    assert commit_files(repo, "main", {b"a": b"2\n"}).status == 201
    for cursor in ("1", "001"):
        sent = repo.call("GET", f"/commits?cursor={cursor}")
        assert shown(sent) == (200, as_sent({"commits": [commit(first)], "has_more": False}))


@pytest.mark.parametrize(
    "cursor", ["x", "-1", "1:", f"1:{'A' * 40}", f"1:{'a' * 39}", "1" * 19, "1 2", "%D9%A1"]
)
def test_a_cursor_that_is_not_a_place_in_a_history_is_refused(repo: Client, cursor: str) -> None:
    assert repo.call("GET", f"/commits?cursor={quote(cursor, safe='%')}").status == 400


def test_an_old_name_and_a_path_narrow_the_history(repo: Client) -> None:
    first = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    assert commit_files(repo, "main", {b"b": b"2\n"}).status == 201
    sent = repo.call("GET", "/commits?branch=main&path=a")
    assert shown(sent) == (200, as_sent({"commits": [commit(first)], "has_more": False}))


def test_a_history_and_a_commit_by_a_full_id_may_be_kept_for_good(repo: Client) -> None:
    tip = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    for target in (f"/commits?ref={tip}", f"/commit?ref={tip}"):
        assert repo.call("GET", target).headers["cache-control"] == IMMUTABLE


def test_one_commit_is_shown_by_itself(repo: Client) -> None:
    first = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    second = new_commit(commit_files(repo, "main", {b"a": b"2\n"}))
    sent = repo.call("GET", "/commit?ref=main")
    assert shown(sent) == (200, as_sent({"commit": commit(second, first)}))
    assert sent.headers["cache-control"] == "private, no-cache"


def test_a_signed_commit_has_its_signature_and_the_signed_text(repo: Client) -> None:
    lines = (
        b"tree " + EMPTY_TREE_OID.encode(),
        b"author Ada <ada@example.test> 1577836800 +0000",
        b"committer Ada <ada@example.test> 1577836800 +0000",
    )
    signature = b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----"
    header = b"gpgsig " + signature.replace(b"\n", b"\n ")
    oid = put_raw_commit(repo.shared.node, b"\n".join((*lines, header, b"", b"signed\n")))
    payload = b"\n".join((*lines, b"", b"signed\n")).decode()
    told = commit(oid, message="signed", signature=f"{signature.decode()}\n", payload=payload)
    sent = repo.call("GET", f"/commit?ref={oid}")
    assert shown(sent) == (200, as_sent({"commit": told}))
    listed = shown(repo.call("GET", "/commits"))
    del told["signature"], told["payload"]
    assert listed == (200, as_sent({"commits": [told], "has_more": False}))
