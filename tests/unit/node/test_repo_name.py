"""Which names a repository may have."""

import pytest

from packhouse.ids import new_public_id
from packhouse.node.repo_name import RepoNameInvalid, check_repo_name

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "apps/shop",
        "a/b/c/d",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "Org",
        "org/x",
        "x/org",
        "my.gitignore-demo",
        "a.git/b",
        "a+ephemeral/b",
        "+ephemeral-x",
        "...",
        ".hidden",
        "a b",
        "a%2Fb",
        "émile/ü",
        "\U0001f600",
        "x" * 255,
        "é" * 127,
    ],
)
def test_a_valid_name_is_returned_unchanged(name: str) -> None:
    assert check_repo_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "org",
        "x" * 256,
        "é" * 128,
        "/a",
        "a/",
        "a//b",
        "/",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "../a",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7f",
        "a\x85b",
        "\ud800",
        "a.git",
        ".git",
        "apps/.git",
        "a.lock",
        "a+ephemeral",
        "a+import",
        "+import",
    ],
)
def test_a_name_that_could_mean_something_else_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(RepoNameInvalid) as refusal:
        check_repo_name(name)
    assert str(refusal.value.reason).startswith("it")


def test_public_ids_are_made_from_the_given_random_bytes() -> None:
    assert new_public_id("repo", lambda size: b"\0" * size) == "repo_" + "a" * 24
    assert new_public_id("key", lambda size: bytes(range(size))).startswith("key_aaaqea")
