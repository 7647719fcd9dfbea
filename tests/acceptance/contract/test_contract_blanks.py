"""Parameters of a query that are sent without a value."""

import pytest

from tests.support.clients.repo import Repo


@pytest.fixture
def branched(repo: Repo) -> Repo:
    """A repository with the branches main and topic."""
    repo.write_commit("main", {"a": b"1"})
    repo.write_commit("topic", {"b": b"2"}, base_branch="main")
    return repo


@pytest.mark.parametrize(
    ("path", "fields", "flags"),
    [
        ("/files", {}, ["ephemeral", "recursive"]),
        ("/file", {"path": "a"}, ["ephemeral", "ephemeral_base"]),
        ("/commits", {}, ["ephemeral"]),
        ("/blame", {"path": "a"}, ["ephemeral", "detect_moves"]),
        ("/branch", {"name": "main"}, ["ephemeral"]),
        ("/branches", {}, ["ephemeral"]),
        ("/branches/diff", {"branch": "topic"}, ["ephemeral", "ephemeral_base"]),
        (
            "/diff",
            {"ref": "topic"},
            ["ref_is_ephemeral", "base_is_ephemeral", "git_apply_compatible", "gitApplyCompatible"],
        ),
        (
            "/merge/preview",
            {"source_ref": "topic", "target_branch": "main"},
            ["include_content", "source_is_ephemeral", "target_is_ephemeral"],
        ),
    ],
)
def test_a_blank_flag_in_a_query_counts_as_absent(
    branched: Repo, path: str, fields: dict[str, str], flags: list[str]
) -> None:
    plain = branched.api("GET", path, params=fields)
    assert plain.status_code == 200
    for blank in ("", " "):
        reply = branched.api("GET", path, params=fields | dict.fromkeys(flags, blank))
        assert (reply.status_code, reply.content) == (200, plain.content)
    assert branched.api("GET", path, params=fields | {flags[0]: "perhaps"}).status_code == 400
