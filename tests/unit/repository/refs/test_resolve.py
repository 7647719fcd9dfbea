"""Ref inputs on a node in memory: the meaning of each spelling, and texts that are refused before anything is read."""

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.errors import Invalid, NotFound
from packhouse.git.objects.codec import encode_tag
from packhouse.git.oid import Oid, hash_object
from packhouse.git.refname import EPHEMERAL, PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository.refs.resolve import (
    RefNamesNoCommit,
    RefNotFound,
    ResolvedRef,
    check_ref_input,
    resolve_object,
    resolve_ref,
)
from packhouse.repository.view import open_view
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, move_refs, write_commit_object

pytestmark = pytest.mark.quick

BLOB = hash_object("blob", b"file\n")


class Shop:
    """A repository with commits 0 to 3 on main, a merge of 2 and a side commit on `merged`, and three tags."""

    def __init__(self, node: Node, caller: Principal, repo: Repo) -> None:
        self.node, self.caller, self.repo = node, caller, repo
        with open_view(node, repo) as view, Write(view) as write:
            self.line = [write_commit_object(write, message=b"0\n")]
            for number in range(1, 4):
                self.line.append(write_commit_object(write, self.line[-1], message=b"%d\n" % number))
            self.side = write_commit_object(write, self.line[0], message=b"side\n")
            self.merged = write_commit_object(write, self.line[2], self.side, message=b"merge\n")
            self.draft = write_commit_object(write, self.line[3], message=b"draft\n")
            self.unreferenced = write_commit_object(write, message=b"nobody leads here\n")
            self.tag = self._add_tag(write, "v1", self.line[1], "commit")
            self.outer_tag = self._add_tag(write, "v2", self.tag, "tag")
            write.writer.add_object("blob", b"file\n")
            self.blob_tag = self._add_tag(write, "readme", BLOB, "blob")
            move_refs(
                node,
                caller,
                repo,
                self._update("refs/heads/main", self.line[3]),
                self._update("refs/heads/merged", self.merged),
                self._update("refs/heads/v1", self.side),
                self._update("refs/tags/v1", self.tag, self.line[1]),
                self._update("refs/tags/v2", self.outer_tag, self.line[1]),
                self._update("refs/tags/readme", self.blob_tag, BLOB),
                self._update("refs/heads/work", self.draft, namespace=EPHEMERAL),
                write=write,
            )

    def _add_tag(self, write: Write, name: str, target: Oid, kind: str) -> Oid:
        content = encode_tag(target=target, target_kind=kind, name=name, tagger=ADA, message=b"m\n")
        return write.writer.add_object("tag", content)

    @staticmethod
    def _update(name: str, new: Oid, peeled: Oid | None = None, *, namespace: str = PERSISTENT) -> RefUpdate:
        return RefUpdate(namespace, RefName(name.encode()), None, new, peeled)

    def resolve(self, ref: str | None, *, ephemeral: bool = False) -> ResolvedRef:
        with open_view(self.node, lookup_repo(self.node, self.caller, "shop")) as view:
            return resolve_ref(view, ref, ephemeral=ephemeral)

    def object(self, text: str) -> Oid:
        with open_view(self.node, lookup_repo(self.node, self.caller, "shop")) as view:
            return resolve_object(view, text)


@pytest.fixture
def shop(node: Node, caller: Principal, repo: Repo) -> Shop:
    return Shop(node, caller, repo)


# Texts that are refused unread


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "\t\n",
            "-main",
            "--all",
            "a..b",
            "main:README",
            ":/text",
            "main@{1}",
            "@{-1}",
            "a@{upstream}",
        ),
        *("a b", "a\x00b", "a\x7f", "a\nb", "main^{/text}", "main~x", "main^-", "main^{COMMIT}", "main^{"),
        *("a//b", "/a", "a/", ".a", "a/.b", "a.lock", "a.", "a*", "a?", "a[", "a\\b", "\ud800"),
        "x" * (limits.refname_max_bytes + 1),
    ],
)
def test_text_that_names_a_ref_in_no_repository_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        check_ref_input(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "main",
            "a/b",
            "refs/heads/main",
            "HEAD",
            "HEAD~1",
            "main^",
            "main^2~3",
            "main^{commit}",
            "main^{}~1",
        ),
        *("v1.0", "a.b", "@", "é", "日本", "0" * 40, "abcd", "main~", "main^^^"),
    ],
)
def test_text_that_may_name_a_ref_is_taken_without_the_blanks_around_it(text: str) -> None:
    assert check_ref_input(f"  {text}\n") == text


def test_a_name_may_be_as_long_as_a_ref() -> None:
    """The length counts in bytes, as in the file system."""
    parts = ("é" * 100 + "/") * 4
    fitting = f"refs/heads/{parts}"
    fitting += "x" * (limits.refname_max_bytes - len(fitting.encode()))
    assert check_ref_input(fitting) == fitting
    with pytest.raises(Invalid):
        check_ref_input(fitting + "x")


# What each spelling means


def test_head_and_an_absent_ref_mean_the_default_branch(shop: Shop) -> None:
    for ref in (None, "", "  "):
        found = shop.resolve(ref)
        assert (found.name, found.commit, found.refname) == ("main", shop.line[3], b"refs/heads/main")
    head = shop.resolve("HEAD")
    assert (head.name, head.commit, head.refname) == ("HEAD", shop.line[3], b"refs/heads/main")


@pytest.mark.parametrize(
    ("ref", "place"),
    [
        ("main", 3),
        ("refs/heads/main", 3),
        ("main~0", 3),
        ("main^0", 3),
        ("main~", 2),
        ("main^", 2),
        ("main~2", 1),
        ("main^^", 1),
        ("main~1^1~1", 0),
        ("merged~1", 2),
        ("merged^1", 2),
        ("merged^2~1", 0),
        ("refs/tags/v1", 1),
        ("refs/tags/v1~1", 0),
        ("v2", 1),
        ("v2^", 0),
    ],
)
def test_names_and_suffixes_lead_where_git_says(shop: Shop, ref: str, place: int) -> None:
    assert shop.resolve(ref).commit == shop.line[place]


def test_a_second_parent_is_not_on_the_first_line(shop: Shop) -> None:
    assert shop.resolve("merged^2").commit == shop.side


@pytest.mark.parametrize(
    "ref",
    [
        "main~4",
        "main^2",
        "merged^3",
        "main~100000",
        "main~99999999999999999999",
        "absent",
        "absent~1",
        "refs/heads/absent",
    ],
)
def test_a_step_to_an_absent_ancestor_names_nothing(shop: Shop, ref: str) -> None:
    with pytest.raises(RefNotFound) as refused:
        shop.resolve(ref)
    assert refused.value.fields["ref"] == ref


def test_a_branch_wins_over_a_tag_and_the_full_name_chooses(shop: Shop) -> None:
    assert shop.resolve("v1").commit == shop.side
    tagged = shop.resolve("refs/tags/v1")
    assert (tagged.oid, tagged.commit, tagged.refname) == (shop.tag, shop.line[1], b"refs/tags/v1")


def test_a_tag_of_a_tag_leads_to_its_commit(shop: Shop) -> None:
    found = shop.resolve("v2")
    assert (found.oid, found.commit) == (shop.outer_tag, shop.line[1])


@pytest.mark.parametrize("length", [40, 39, 12, 7])
def test_an_id_is_taken_in_either_case_and_from_seven_digits(shop: Shop, length: int) -> None:
    for text in (shop.line[2][:length], shop.line[2][:length].upper()):
        found = shop.resolve(text)
        assert (found.commit, found.refname) == (shop.line[2], None)
        assert found.is_by_id == (length == 40)


def test_the_id_of_a_tag_leads_to_its_commit(shop: Shop) -> None:
    found = shop.resolve(shop.tag)
    assert (found.oid, found.commit) == (shop.tag, shop.line[1])


def test_an_id_to_which_no_ref_leads_names_nothing(shop: Shop) -> None:
    """A deleted commit disappears for readers at once, long before its object is deleted."""
    with pytest.raises(RefNotFound):
        shop.resolve(shop.unreferenced)
    with pytest.raises(NotFound):
        shop.resolve(shop.unreferenced[:12])


def test_forty_digits_never_mean_a_branch(shop: Shop) -> None:
    name = RefName(b"refs/heads/" + b"ab" * 20)
    move_refs(shop.node, shop.caller, shop.repo, RefUpdate(PERSISTENT, name, None, shop.side, restores=True))
    with pytest.raises(RefNotFound):
        shop.resolve("ab" * 20)
    assert shop.resolve("refs/heads/" + "ab" * 20).commit == shop.side


def test_suffixes_with_steps_are_bounded(shop: Shop) -> None:
    with pytest.raises(Invalid, match="too many suffixes"):
        shop.resolve("main" + "^0" * 65)
    assert shop.resolve("main" + "^0" * 64).commit == shop.line[3]


# The ephemeral namespace


def test_the_ephemeral_namespace_has_branches_of_its_own_and_ids_as_ever(shop: Shop) -> None:
    found = shop.resolve("work", ephemeral=True)
    assert (found.commit, found.refname) == (shop.draft, b"refs/heads/work")
    assert shop.resolve(shop.line[0], ephemeral=True).commit == shop.line[0]
    for ref in ("main", "HEAD", "v2", "refs/tags/v1", None):
        with pytest.raises(RefNotFound):
            shop.resolve(ref, ephemeral=True)
    with pytest.raises(RefNotFound):
        shop.resolve("work")
    assert shop.resolve(shop.draft).commit == shop.draft


# Objects that are not commits


def test_a_tag_of_a_file_names_an_object_but_no_commit(shop: Shop) -> None:
    with pytest.raises(RefNamesNoCommit) as refused:
        shop.resolve("readme")
    assert (refused.value.named, refused.value.kind, refused.value.target) == (shop.blob_tag, "blob", BLOB)
    for ref in ("readme~1", "readme^0"):
        with pytest.raises(RefNotFound) as gone:
            shop.resolve(ref)
        assert not isinstance(gone.value, RefNamesNoCommit)


def test_a_note_may_be_about_any_object(shop: Shop) -> None:
    assert shop.object("main") == shop.line[3]
    assert shop.object("main~1") == shop.line[2]
    assert shop.object(BLOB) == BLOB
    assert shop.object(BLOB.upper()) == BLOB
    with pytest.raises(RefNotFound):
        shop.object("absent")


def test_an_empty_repository_has_no_commit(node: Node, repo: Repo) -> None:
    with open_view(node, repo) as view:
        for ref in (None, "HEAD", "main", "HEAD~1", "a" * 40, "abcd"):
            with pytest.raises(NotFound):
                resolve_ref(view, ref)
