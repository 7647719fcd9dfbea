"""Fixed read tokens, as the configured file lists them."""

from pathlib import Path

import pytest

from packhouse.auth.principal import Principal, ScopeMissing
from packhouse.auth.scopes import Scope
from packhouse.errors import Unavailable
from packhouse.node.node import Node
from packhouse.node.token_file import ALL_REPOS, TokenFile
from packhouse.operations.tenants.find_static_reader import FindStaticReader, find_static_reader

pytestmark = pytest.mark.quick


@pytest.fixture
def file(node: Node, caller: Principal, tmp_path: Path) -> Path:
    """The file that the node reads, with three tokens: for one repository, for all, and of an unknown organisation."""
    path = tmp_path / "tokens"
    path.write_text("one acme apps/shop\nall acme *\nlost nobody *\n")
    node.static_tokens = TokenFile(path)
    return path


def find(node: Node, token: str) -> Principal | None:
    """Return the principal of the token."""
    return find_static_reader(node, FindStaticReader(token))


def test_a_listed_token_may_only_read(node: Node, caller: Principal, file: Path) -> None:
    reader = find(node, "one")
    assert reader is not None
    assert (reader.org_id, reader.repo_claim) == (caller.org_id, "apps/shop")
    assert reader.scopes == frozenset({Scope.GIT_READ})
    with pytest.raises(ScopeMissing):
        reader.require_scope(Scope.GIT_WRITE)


def test_a_token_may_read_every_repository_of_its_organisation(
    node: Node, caller: Principal, file: Path
) -> None:
    reader = find(node, "all")
    assert reader is not None
    assert reader.repo_claim == ALL_REPOS


@pytest.mark.parametrize("token", ["", "on", "onee", "ONE", "apps/shop", "acme", "\ud800"])
def test_other_text_has_no_principal(node: Node, file: Path, token: str) -> None:
    assert find(node, token) is None


def test_a_token_of_an_unknown_organisation_has_no_principal(node: Node, file: Path) -> None:
    assert find(node, "lost") is None


def test_without_a_file_no_token_has_a_principal(node: Node) -> None:
    assert find(node, "one") is None


def test_a_change_of_the_file_counts_at_once(node: Node, file: Path) -> None:
    file.write_text("two acme *\n")
    assert find(node, "one") is None
    assert find(node, "two") is not None


def test_an_unreadable_file_makes_the_answer_unavailable(node: Node, file: Path) -> None:
    file.unlink()
    with pytest.raises(Unavailable):
        find(node, "one")


def test_the_last_of_two_lines_for_one_token_counts(node: Node, file: Path) -> None:
    file.write_text("one acme a\none acme b\n")
    reader = find(node, "one")
    assert reader is not None
    assert reader.repo_claim == "b"
