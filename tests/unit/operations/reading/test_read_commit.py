"""One commit: its content and its signature."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import RepoNotFound
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object
from packhouse.git.refname import PERSISTENT, branch_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.reading.read_commit import ReadCommit, read_commit
from packhouse.repository.refs.resolve import RefNamesNoCommit, RefNotFound
from packhouse.repository.view import open_view
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, move_refs
from tests.unit.operations.reading.entries import make_ephemeral, tag_object

pytestmark = pytest.mark.quick

PEOPLE = b"author A <a@x> 5 +0000\ncommitter B <b@x> 6 -0130\n"
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"


def put_raw(node: Node, caller: Principal, content: bytes) -> Oid:
    """Put a commit with exactly these bytes on main, as a push does."""
    repo = lookup_repo(node, caller, "r")
    with open_view(node, repo) as view, Write(view) as write:
        write.writer.add_object("tree", b"")
        commit = write.writer.add_object("commit", content)
        update = RefUpdate(PERSISTENT, branch_refname("main"), None, commit, any_old=True)
        move_refs(node, caller, repo, update, write=write)
    return commit


def test_a_commit_has_its_people_its_parents_and_its_message(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    found = read_commit(node, caller, ReadCommit("r", "main"))
    commit = found.listed.commit
    assert (found.listed.oid, list(commit.parents), commit.message) == (second, [first], "message")
    assert (commit.author, commit.committer, found.signature) == (ADA, ADA, None)
    assert list(read_commit(node, caller, ReadCommit("r", first)).listed.commit.parents) == []


@pytest.mark.parametrize("ref", ["main~1", "HEAD^", "{id}", "{id:.8}", "v1"])
def test_any_ref_input_names_a_commit(
    node: Node, caller: Principal, first: Oid, second: Oid, ref: str
) -> None:
    tag_object(node, caller, "v1", "commit", first, annotated=True)
    found = read_commit(node, caller, ReadCommit("r", ref.format(id=first)))
    assert (found.listed.oid, found.is_by_id) == (first, ref == "{id}")


def test_a_signed_commit_has_its_signature_and_the_signed_bytes(
    node: Node, caller: Principal, repo: str
) -> None:
    head = b"tree %s\n" % EMPTY_TREE_OID.encode() + PEOPLE
    folded = SIGNATURE.rstrip(b"\n").replace(b"\n", b"\n ")
    put_raw(node, caller, head + b"gpgsig " + folded + b"\n\nm\n")
    signature = read_commit(node, caller, ReadCommit("r", "main")).signature
    assert signature is not None
    assert signature.armored.strip() == SIGNATURE.strip()
    assert signature.payload == head + b"\nm\n"


def test_an_empty_signature_counts_as_absent(node: Node, caller: Principal, repo: str) -> None:
    head = b"tree %s\n" % EMPTY_TREE_OID.encode() + PEOPLE
    put_raw(node, caller, head + b"gpgsig \n\nm\n")
    assert read_commit(node, caller, ReadCommit("r", "main")).signature is None


def test_a_commit_in_another_encoding_is_read_as_text(node: Node, caller: Principal, repo: str) -> None:
    head = b"tree %s\n" % EMPTY_TREE_OID.encode() + PEOPLE
    put_raw(node, caller, head + b"encoding ISO-8859-1\n\nGr\xf6\xdfe\n")
    assert read_commit(node, caller, ReadCommit("r", "main")).listed.commit.message == "Größe"


def test_an_object_that_is_not_a_commit_is_not_read(node: Node, caller: Principal, first: Oid) -> None:
    blob = hash_object("blob", b"one\n")
    tag_object(node, caller, "kept", "blob", blob, annotated=True)
    with pytest.raises(RefNamesNoCommit) as refused:
        read_commit(node, caller, ReadCommit("r", "kept"))
    assert (refused.value.kind, refused.value.target) == ("blob", blob)
    for ref in ("nowhere", "1" * 40, "main~9"):
        with pytest.raises(RefNotFound):
            read_commit(node, caller, ReadCommit("r", ref))


def test_ephemeral_branches_are_not_searched(node: Node, caller: Principal, first: Oid) -> None:
    make_ephemeral(node, caller, "try")
    with pytest.raises(RefNotFound):
        read_commit(node, caller, ReadCommit("r", "try"))


def test_an_empty_repository_and_a_stranger_get_no_commit(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    with pytest.raises(RefNotFound):
        read_commit(node, caller, ReadCommit("r", "main"))
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound):
            read_commit(node, who, ReadCommit(name, "main"))
