"""Commands of one question each: ids by their beginning, files with sizes, refs, git's version."""

import re
import shutil
from pathlib import Path

import pytest

from packhouse.errors import LimitExceeded
from packhouse.git.commands.for_each_ref import list_refs
from packhouse.git.commands.ls_tree import list_sized_files
from packhouse.git.commands.rev_parse import list_abbreviated
from packhouse.git.commands.run import GitFailed
from packhouse.git.commands.version import find_git_version
from packhouse.git.objects.errors import TreeNamesMissingObject
from packhouse.git.oid import Oid, hash_object
from tests.support.clients.git_runner import WorkTree

pytestmark = pytest.mark.quick

UNKNOWN = Oid("1" * 40)


def test_an_abbreviation_lists_every_object_that_begins_with_it(work: WorkTree) -> None:
    oids = [work.write("blob", b"%d" % number) for number in range(300)]
    by_start: dict[str, set[Oid]] = {}
    for oid in oids:
        by_start.setdefault(oid[:4], set()).add(oid)
    shared = max(by_start, key=lambda start: len(by_start[start]))
    assert set(list_abbreviated(work, shared, count_max=9)) == by_start[shared]
    assert list_abbreviated(work, oids[0][:12], count_max=9) == [oids[0]]
    assert list_abbreviated(work, UNKNOWN[:8], count_max=9) == []


def test_no_more_objects_are_listed_than_asked_for(work: WorkTree) -> None:
    # Among so many blobs, the ids of two almost certainly begin with the same four digits.
    by_start: dict[str, list[Oid]] = {}
    for number in range(2000):
        oid = hash_object("blob", b"%d" % number)
        by_start.setdefault(oid[:4], []).append(oid)
        if len(by_start[oid[:4]]) == 2:
            break
    start, twins = next((start, found) for start, found in by_start.items() if len(found) == 2)
    for number in range(2000):
        if hash_object("blob", b"%d" % number) in twins:
            work.write("blob", b"%d" % number)
    assert len(list_abbreviated(work, start, count_max=9)) == 2
    assert len(list_abbreviated(work, start, count_max=1)) == 1


def test_files_are_listed_with_mode_and_size(work: WorkTree) -> None:
    (work.folder / "link").symlink_to("a")
    (work.folder / "run").write_bytes(b"#!/bin/sh\n")
    (work.folder / "run").chmod(0o755)
    work.commit({"a": b"", "sub/deep/b": b"12345", "n\nl\t": b"x"})
    work.run("update-index", "--add", "--cacheinfo", f"160000,{UNKNOWN},module")
    work.run("commit", "--quiet", "-m", "module")
    listed = list_sized_files(work, work.oid("HEAD^{tree}"), output_max_bytes=10_000)
    assert listed == [
        (b"100644", b"0", b"a"),
        (b"120000", b"1", b"link"),
        (b"160000", b"-", b"module"),
        (b"100644", b"1", b"n\nl\t"),
        (b"100755", b"10", b"run"),
        (b"100644", b"5", b"sub/deep/b"),
    ]


def test_an_empty_tree_has_no_files(work: WorkTree) -> None:
    assert list_sized_files(work, work.write("tree", b""), output_max_bytes=100) == []


def test_a_missing_blob_is_named_and_not_given_a_size(work: WorkTree) -> None:
    work.commit({"a": b"there\n", "b": b"missing\n"})
    blob = work.oid("HEAD:b")
    work.remove(blob)
    with pytest.raises(TreeNamesMissingObject) as missing:
        list_sized_files(work, work.oid("HEAD^{tree}"), output_max_bytes=10_000)
    assert missing.value.oid == blob


def test_a_file_named_like_a_missing_size_is_listed(work: WorkTree) -> None:
    work.commit({"x BAD\ty": b"1"})
    listed = list_sized_files(work, work.oid("HEAD^{tree}"), output_max_bytes=10_000)
    assert listed == [(b"100644", b"1", b"x BAD\ty")]


def test_a_listing_beyond_the_bound_is_refused(work: WorkTree) -> None:
    work.commit({f"file-{number:03}": b"" for number in range(100)})
    with pytest.raises(LimitExceeded):
        list_sized_files(work, work.oid("HEAD^{tree}"), output_max_bytes=1000)


def test_a_tree_that_is_missing_is_a_failure(work: WorkTree) -> None:
    with pytest.raises(GitFailed):
        list_sized_files(work, UNKNOWN, output_max_bytes=1000)


def test_refs_below_a_prefix_are_listed_by_name(work: WorkTree) -> None:
    commit = work.commit({"a": b"a"})
    for name in ("refs/fetched/heads/b", "refs/fetched/heads/a-b", "refs/other/x"):
        work.run("update-ref", name, commit)
    work.run("tag", "-a", "-m", "annotated", "v1")
    tag = work.oid("v1")
    work.run("update-ref", "refs/fetched/tags/v1", tag)
    assert list_refs(work, "refs/fetched") == [
        (b"refs/fetched/heads/a-b", commit),
        (b"refs/fetched/heads/b", commit),
        (b"refs/fetched/tags/v1", tag),
    ]
    assert list_refs(work, "refs/none") == []


def test_names_outside_ascii_stay_bytes(work: WorkTree) -> None:
    commit = work.commit({"a": b"a"})
    name = "refs/fetched/heads/Größe-\udcff"
    work.run("update-ref", "--stdin", stdin=b"create %s %s\n" % (_encoded(name), commit.encode()))
    assert list_refs(work, "refs/fetched") == [(_encoded(name), commit)]


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def test_the_version_is_that_of_the_installed_git() -> None:
    found = find_git_version(timeout_s=60)
    assert found is not None
    assert re.match(r"[0-9]+\.[0-9]+", found)


def test_without_git_there_is_no_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert shutil.which("git")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_git_version(timeout_s=60) is None
