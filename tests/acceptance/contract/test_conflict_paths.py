"""Conflicts between a file and something else are named by the paths of the sides, not by git's temporary names."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.clients.repo import FileValue, Repo

NUMBERS = b"".join(b"%d\n" % number for number in range(30))
LINK = ("120000", b"elsewhere")
SUBMODULE = ("160000", b"1" * 40)
OTHER_SUBMODULE = ("160000", b"2" * 40)


def diverge(
    repo: Repo, base: Mapping[str, FileValue], ours: Mapping[str, FileValue], theirs: Mapping[str, FileValue]
) -> None:
    """Commit `base` to main, then `theirs` to feature and `ours` to main."""
    repo.write_commit("main", {"keep": b"kept\n", **base})
    repo.write_commit("feature", theirs, base_branch="main")
    repo.write_commit("main", ours)


def preview(repo: Repo) -> dict[str, Any]:
    """Return the preview with contents. It must be conflicted and agree with the refusal of the merge."""
    query = {"source_branch": "feature", "target_branch": "main", "include_content": "true"}
    reply = repo.api("GET", "/merge/preview", params=query)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    assert answer["status"] == "conflicted"
    assert [conflict["path"] for conflict in answer["conflicts"]] == answer["conflict_paths"]
    body = {"source_ref": "feature", "target_branch": "main", "strategy": "merge"}
    refused = repo.api("POST", "/merge", json=body)
    assert (refused.status_code, refused.json()["conflict_paths"]) == (409, answer["conflict_paths"])
    return answer


CASES: dict[str, tuple[Mapping[str, FileValue], Mapping[str, FileValue], Mapping[str, FileValue], list[str]]] = {
    "file here, folder there": ({}, {"x": b"o\n"}, {"x/y": b"t\n"}, ["x"]),
    "folder here, file there": ({}, {"x/y": b"o\n"}, {"x": b"t\n"}, ["x"]),
    "file and folder further down": ({}, {"d/x": b"o\n"}, {"d/x/y": b"t\n"}, ["d/x"]),
    "changed file, folder there": ({"x": b"b\n"}, {"x": b"o\n"}, {"x": None, "x/y": b"t\n"}, ["x"]),
    "symlink, folder there": ({}, {"x": LINK}, {"x/y": b"t\n"}, ["x"]),
    "submodule, folder there": ({}, {"x": SUBMODULE}, {"x/y": b"t\n"}, ["x"]),
    "file and symlink": ({}, {"x": b"o\n"}, {"x": LINK}, ["x"]),
    "symlink and file": ({}, {"x": LINK}, {"x": b"t\n"}, ["x"]),
    "file and submodule": ({}, {"x": b"o\n"}, {"x": SUBMODULE}, ["x"]),
    "submodule and symlink": ({}, {"x": SUBMODULE}, {"x": LINK}, ["x"]),
    "two submodules": ({}, {"x": SUBMODULE}, {"x": OTHER_SUBMODULE}, ["x"]),
    "a name that looks like git's": ({}, {"x": b"o\n", "x~main": b"mine\n"}, {"x/y": b"t\n"}, ["x"]),
    "renamed twice": (
        {"old": NUMBERS}, {"old": None, "one": NUMBERS}, {"old": None, "two": NUMBERS}, ["one", "two"],
    ),
    "added in a renamed folder": (
        {"a/f": NUMBERS, "a/g": NUMBERS + b"g\n"},
        {"a/f": None, "a/g": None, "b/f": NUMBERS, "b/g": NUMBERS + b"g\n"},
        {"a/new": b"new\n"},
        ["a/new"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_conflicts_are_named_by_the_paths_that_the_sides_have(repo: Repo, case: str) -> None:
    base, ours, theirs, paths = CASES[case]
    diverge(repo, base, ours, theirs)
    answer = preview(repo)
    assert answer["conflict_paths"] == paths
    for conflict in answer["conflicts"]:
        present = [
            side for side in ("ours", "theirs") if "oid" in conflict[side] or "content" in conflict[side]
        ]
        assert present, conflict
        if "result_path" in conflict:
            assert conflict["result_path"] != conflict["path"]


def test_the_temporary_name_stands_beside_the_path(repo: Repo) -> None:
    diverge(repo, {}, {"x": b"ours\n"}, {"x/y": b"theirs\n"})
    (conflict,) = preview(repo)["conflicts"]
    assert (conflict["path"], conflict["result_path"]) == ("x", "x~main")
    assert conflict["ours"]["content"] == conflict["result"]["content"] == "ours\n"
    assert "oid" not in conflict["theirs"]


def test_a_file_and_a_symlink_under_one_name_are_one_conflict(repo: Repo) -> None:
    diverge(repo, {}, {"x": b"ours\n"}, {"x": ("120000", b"target")})
    (conflict,) = preview(repo)["conflicts"]
    assert (conflict["ours"]["content"], conflict["theirs"]["content"]) == ("ours\n", "target")


def test_a_file_that_both_sides_renamed_is_the_base_of_both(repo: Repo) -> None:
    base, ours, theirs, _ = CASES["renamed twice"]
    diverge(repo, base, ours, theirs)
    one, two = preview(repo)["conflicts"]
    assert one["base"]["content"] == two["base"]["content"] == NUMBERS.decode()
    assert (one["ours"]["content"], two["theirs"]["content"]) == (NUMBERS.decode(),) * 2
