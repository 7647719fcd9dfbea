"""Previews of merges over the whole pipeline: the exact bytes of each answer."""

from typing import Any

import pytest

from packhouse.git.oid import hash_object
from packhouse.limits import merge_conflict_blob_max_bytes
from tests.unit.web.api.conftest import Client, as_sent, commit_files, new_commit, shown

pytestmark = pytest.mark.quick

TARGET = "/merge/preview?source_ref=dev&target_branch=main"
NOTHING = {"truncated": False, "binary": False}


def blob(content: str | None, oid_of: bytes | None = None, **more: bool) -> dict[str, Any]:
    members: dict[str, Any] = {} if oid_of is None else {"oid": hash_object("blob", oid_of)}
    if content is not None:
        members["content"] = content
    return members | NOTHING | more


def preview(tips: tuple[str, str], base: str, status: str, result: str, **more: Any) -> dict[str, Any]:
    """Return the members of a preview. Members about conflicts are empty unless given."""
    return {
        "status": status,
        "result": result,
        "source_branch": "dev",
        "target_branch": "main",
        "source_tip_sha": tips[0],
        "target_tip_sha": tips[1],
        "merge_base_sha": base,
        "conflict_paths": [],
        **{"conflicts": [], "filtered_conflicts": []},
        **more,
    }


def diverge(
    client: Client, base: dict[bytes, bytes], dev: dict[bytes, bytes | None], main: dict[bytes, bytes | None]
) -> tuple[str, str, str]:
    """Commit `base`, and on top of it `dev` and `main`; return the ids of `dev`, `main` and `base`."""
    start = new_commit(commit_files(client, "main", base))
    made = client.call("POST", "/branches/create", {"target_branch": "dev", "base_ref": "main"})
    assert made.status == 200
    source = new_commit(commit_files(client, "dev", dev))
    return source, new_commit(commit_files(client, "main", main)), start


def test_a_clean_merge_has_empty_lists_of_conflicts(repo: Client) -> None:
    source, target, base = diverge(repo, {b"a": b"1\n"}, {b"b": b"2\n"}, {b"c": b"3\n"})
    sent = repo.call("GET", TARGET)
    assert shown(sent) == (200, as_sent(preview((source, target), base, "clean", "merge_commit")))
    assert sent.headers["cache-control"] == "private, no-cache"


def test_a_fast_forward_is_marked_as_one(repo: Client) -> None:
    base = new_commit(commit_files(repo, "main", {b"a": b"1\n"}))
    assert repo.call("POST", "/branches/create", {"target_branch": "dev", "base_ref": "main"}).status == 200
    source = new_commit(commit_files(repo, "dev", {b"b": b"2\n"}))
    expected = preview((source, base), base, "clean", "fast_forward")
    assert shown(repo.call("GET", TARGET)) == (200, as_sent(expected))


def test_a_conflict_has_all_its_sides_on_request(repo: Client) -> None:
    source, target, base = diverge(repo, {b"a": b"1\n"}, {b"a": b"dev\n"}, {b"a": "ü\n".encode()})
    expected = preview((source, target), base, "conflicted", "merge_commit", conflict_paths=["a"])
    assert shown(repo.call("GET", TARGET)) == (200, as_sent(expected))
    expected["conflicts"] = [
        {
            "path": "a",
            "result": blob("<<<<<<< main\nü\n=======\ndev\n>>>>>>> dev\n"),
            "base": blob("1\n", b"1\n"),
            "ours": blob("ü\n", "ü\n".encode()),
            "theirs": blob("dev\n", b"dev\n"),
        }
    ]
    assert shown(repo.call("GET", f"{TARGET}&include_content=true")) == (200, as_sent(expected))


def test_a_missing_binary_or_long_side_is_marked_as_such(repo: Client) -> None:
    long = b"x" * (merge_conflict_blob_max_bytes + 1)
    diverge(repo, {b"a": b"1\n", b"b": b"\0\n"}, {b"a": None, b"b": b"\0dev"}, {b"a": long, b"b": b"\0main"})
    sent = repo.call("GET", f"{TARGET}&include_content=true").body.decode()
    gone = as_sent({"base": blob("1\n", b"1\n"), "ours": blob("x" * len(long[1:]), long, truncated=True)})
    assert f'{gone[1:-1]},"theirs":{as_sent(NOTHING)}}}' in sent
    sides = {name: {"truncated": False, "binary": True} for name in ("base", "ours", "theirs")}
    assert f"{as_sent(sides)[1:-1]}}}]" in sent


def test_names_that_are_not_text_are_shown_by_their_bytes(repo: Client) -> None:
    name, text, encoded = b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}", "Y2Fm6Q=="
    source, target, base = diverge(
        repo, {name: b"1\n", b"a": b"1\n"}, {name: b"2\n", b"a": b"2\n"}, {name: b"3\n", b"a": b"3\n"}
    )
    sent = repo.call("GET", f"{TARGET}&include_content=true").body.decode()
    assert '"conflict_paths":["a","' + text + f'"],"conflict_paths_base64":["YQ==","{encoded}"],' in sent
    assert f'{{"path":"{text}","path_base64":"{encoded}","result":{{"content":' in sent
    assert f'"source_tip_sha":"{source}","target_tip_sha":"{target}","merge_base_sha":"{base}",' in sent


def test_a_result_at_another_path_is_shown_after_the_sides(repo: Client) -> None:
    diverge(repo, {b"x": b"1\n"}, {b"d/x": b"2\n"}, {b"d": b"3\n"})
    sent = repo.call("GET", f"{TARGET}&include_content=true").body.decode()
    assert f'"theirs":{as_sent(NOTHING)},"result_path":"d~main"}}]' in sent


def test_beyond_the_bound_files_are_named_without_their_contents(repo: Client) -> None:
    count = repo.shared.node.limits.merge_conflict_files_max + 1
    names = [b"%03d" % number for number in range(count)]
    diverge(repo, dict.fromkeys(names, b"1\n"), dict.fromkeys(names, b"2\n"), dict.fromkeys(names, b"3\n"))
    sent = repo.call("GET", f"{TARGET}&include_content=true").body.decode()
    left_out = {"path": names[-1].decode(), "reason": "max_conflict_files_exceeded"}
    assert sent.endswith(f'"filtered_conflicts":[{as_sent(left_out)}]}}')
    assert sent.count('"result":{') == count - 1
    assert repo.call("GET", TARGET).body.endswith(b'"conflicts":[],"filtered_conflicts":[]}')
