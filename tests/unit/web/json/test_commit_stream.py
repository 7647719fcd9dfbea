"""Commit streams: where pieces of the body may end, the meaning of each line, and the leftovers of a broken body."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor
from packhouse.errors import Invalid
from packhouse.git.objects.codec import MODE_FILE
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.refname import PERSISTENT, branch_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import CommitFacts, NewCommit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.start_commit import FileChange, PendingCommit, StartCommit, start_commit
from packhouse.operations.commits.start_patch_commit import (
    PendingPatchCommit,
    StartPatchCommit,
    start_patch_commit,
)
from packhouse.operations.reading.open_file import OpenFile, open_file
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.web.json.commit_stream import CommitStream, OpenedCommit
from packhouse.web.json.ndjson import (
    ChunkExpected,
    LineSplitter,
    LineTooLong,
    parse_blob_line,
    parse_diff_line,
)
from tests.support.builders.node_writes import ADA, pack_states

pytestmark = pytest.mark.quick

TARGET = CommitTarget(namespace=PERSISTENT, refname=branch_refname("main"))
FACTS = CommitFacts(b"message\n", ADA, ADA)
METADATA = b'{"metadata": {}}'


def chunk(data: bytes, *, content_id: str = "a", eof: bool = True) -> bytes:
    text = base64.b64encode(data).decode()
    return json.dumps({"blob_chunk": {"content_id": content_id, "data": text, "eof": eof}}).encode()


def patch(data: bytes, *, eof: bool = True) -> bytes:
    return json.dumps({"diff_chunk": {"data": base64.b64encode(data).decode(), "eof": eof}}).encode()


class CountedCommit(PendingCommit):
    """A commit of no files that counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


@dataclass
class Opener:
    """Notes the metadata lines that open a commit, and the lines that follow."""

    commit: CountedCommit
    opened: list[bytes] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)

    def __call__(self, line: bytes) -> OpenedCommit:
        self.opened.append(line)
        return OpenedCommit(self.commit, self.lines.append)


@pytest.fixture
def node(memory_node: Node, memory_caller: Principal) -> Node:
    create_repo(memory_node, memory_caller, CreateRepo("r"))
    return memory_node


@pytest.fixture
def opener(node: Node, memory_caller: Principal) -> Iterator[Opener]:
    repo = lookup_repo(node, memory_caller, "r")
    with CountedCommit(node, memory_caller, repo, StartCommit("r", TARGET, FACTS, [])) as commit:
        yield Opener(commit)


def lines_of(*pieces: bytes) -> list[bytes]:
    """Return the lines of a body that arrives in these pieces."""
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return [*lines, *splitter.finish()]


# Ends of lines


BODY = METADATA + b'\n{"blob_chunk": 1}\r\n\r\n  \n{"blob_chunk": 2}\n'
LINES = [METADATA, b'{"blob_chunk": 1}', b'{"blob_chunk": 2}']


@pytest.mark.parametrize("cut", range(len(BODY) + 1))
def test_a_body_may_be_cut_at_every_byte(cut: int) -> None:
    assert lines_of(BODY[:cut], BODY[cut:]) == LINES


def test_a_body_may_come_byte_by_byte() -> None:
    assert lines_of(*(BODY[i : i + 1] for i in range(len(BODY)))) == LINES


def test_a_body_may_come_whole_or_with_empty_pieces() -> None:
    assert lines_of(BODY) == lines_of(b"", BODY, b"", b"") == LINES


@given(
    st.lists(st.binary(min_size=0, max_size=30).map(lambda text: text.replace(b"\n", b".")), max_size=8),
    st.data(),
)
def test_lines_come_out_as_they_went_in_however_the_body_is_cut(
    lines: list[bytes], data: st.DataObject
) -> None:
    body = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert lines_of(*pieces) == [line.strip(b" \t\r") for line in lines if line.strip(b" \t\r")]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n\r\n \t\n"])
def test_the_last_line_needs_no_end(end: bytes) -> None:
    assert lines_of(METADATA + b"\n" + chunk(b"x") + end) == [METADATA, chunk(b"x")]


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n \t \n\n", b"   "])
def test_a_body_of_white_space_has_no_line(body: bytes) -> None:
    assert lines_of(body) == []


def test_a_carriage_return_within_a_line_ends_nothing() -> None:
    assert lines_of(b"a\rb\r\r\n") == [b"a\rb"]


# Lengths of lines


def small_splitter() -> LineSplitter:
    return LineSplitter(first_max_bytes=50, later_max_bytes=20)


def test_the_first_line_has_the_limit_of_metadata_and_later_ones_that_of_chunks() -> None:
    assert list(small_splitter().feed(b"m" * 50 + b"\n" + b"c" * 20 + b"\n")) == [b"m" * 50, b"c" * 20]
    with pytest.raises(LineTooLong, match="line is too long") as first:
        list(small_splitter().feed(b"m" * 51 + b"\n"))
    with pytest.raises(LineTooLong, match="line is too long") as later:
        list(small_splitter().feed(b"m\n" + b"c" * 21 + b"\n"))
    assert (first.value.max_bytes, later.value.max_bytes) == (50, 20)


def test_blank_lines_leave_the_first_line_its_limit() -> None:
    assert list(small_splitter().feed(b"\n \r\n" + b"m" * 50 + b"\n")) == [b"m" * 50]


@pytest.mark.parametrize("piece", [1, 10, 1000])
def test_a_line_without_an_end_is_refused_as_soon_as_it_is_too_long(piece: int) -> None:
    """Memory holds one line, so a line without an end must be refused."""
    splitter = small_splitter()
    for _ in range(50 // piece):
        assert list(splitter.feed(b"m" * piece)) == []
    with pytest.raises(Invalid, match="line is too long"):
        list(splitter.feed(b"m" * piece))


def test_the_last_line_is_measured_too_when_it_has_no_end() -> None:
    splitter = small_splitter()
    assert list(splitter.feed(b"m\n" + b"c" * 20)) == [b"m"]
    assert list(splitter.finish()) == [b"c" * 20]


def test_the_lines_before_too_long_a_line_are_kept() -> None:
    lines = small_splitter().feed(b"m\nc\n" + b"c" * 30)
    assert (next(lines), next(lines)) == (b"m", b"c")
    with pytest.raises(Invalid, match="line is too long"):
        next(lines)


# Kinds of lines


def test_the_first_line_opens_the_commit_and_each_later_one_goes_to_it(opener: Opener) -> None:
    stream = CommitStream(opener)
    for piece in (METADATA, b"\n1\n2", b"\n", b"3"):
        stream.feed(piece)
    assert stream.finish() is opener.commit
    assert opener.opened == [METADATA]
    assert opener.lines == [b"1", b"2", b"3"]


def test_a_body_without_an_end_of_line_opens_its_commit_at_the_end(opener: Opener) -> None:
    stream = CommitStream(opener)
    stream.feed(METADATA)
    assert opener.opened == []
    assert stream.finish().target is TARGET
    assert opener.opened == [METADATA]


@pytest.mark.parametrize("body", [b"", b"\n\r\n \n"])
def test_a_body_without_a_line_lacks_its_metadata(opener: Opener, body: bytes) -> None:
    stream = CommitStream(opener)
    stream.feed(body)
    with pytest.raises(Invalid, match="first line must be an object with metadata"):
        stream.finish()


def test_a_failure_to_open_leaves_nothing_to_close() -> None:
    def refuse(_line: bytes) -> OpenedCommit:
        raise BadCursor()

    stream = CommitStream(refuse)
    with pytest.raises(BadCursor):
        stream.feed(METADATA + b"\n")
    stream.close()


def test_an_opened_commit_is_closed_with_the_stream(opener: Opener) -> None:
    stream = CommitStream(opener)
    stream.close()
    assert opener.commit.closed == 0
    stream.feed(METADATA + b"\n")
    stream.close()
    assert opener.commit.closed == 1


# Contents of chunk lines


def test_a_chunk_line_gives_its_content_id_data_and_end() -> None:
    assert parse_blob_line(chunk(b"abc", content_id=" a ", eof=False)) == ("a", b"abc", False)
    assert parse_diff_line(patch(b"abc")) == (b"abc", True)


@pytest.mark.parametrize("eof", [{}, {"eof": None}, {"eof": False}])
def test_a_chunk_is_not_the_last_unless_it_says_so(eof: dict[str, Any]) -> None:
    line = json.dumps({"blob_chunk": {"content_id": "a", "data": "", **eof}}).encode()
    assert parse_blob_line(line) == ("a", b"", False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (METADATA, "metadata may come only once, on the first line"),
        (b'{"metadata": {}, "blob_chunk": {"content_id": "a", "data": ""}}', "metadata may come only once"),
        (b"{}", "each line after the first must hold one chunk"),
        (b'{"blob_chunk": null}', "each line after the first must hold one chunk"),
        (b'{"more": true}', "each line after the first must hold one chunk"),
        (b"[]", "chunk line does not fit"),
        (b'{"blob_chunk": []}', "chunk line does not fit"),
        (b'{"blob_chunk": {"data": ""}}', "chunk line does not fit"),
        (b'{"blob_chunk": {"content_id": "a"}}', "chunk line does not fit"),
        (b'{"blob_chunk": {"content_id": 1, "data": ""}}', "chunk line does not fit"),
        (b'{"blob_chunk": {"content_id": "a", "data": "", "eof": "true"}}', "chunk line does not fit"),
        (b'{"blob_chunk": {"content_id": "a", "data": 1}}', "data must be a string of base64"),
        (b'{"blob_chunk": {"content_id": "a", "data": null}}', "data must be a string of base64"),
        (b'{"blob_chunk": ', "line is not valid JSON"),
        (b'{"blob_chunk": {}} {}', "line is not valid JSON|chunk line does not fit"),
        (b"\xff", "line is not valid JSON"),
        (b'{"x": ' + b"[" * 100_000, "line is nested too deeply|line is not valid JSON"),
    ],
)
def test_a_line_that_is_not_a_chunk_of_a_file_is_refused(line: bytes, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_blob_line(line)


def test_a_chunk_of_the_other_kind_is_refused_and_the_kind_is_named() -> None:
    for parse, line, expected in (
        (parse_blob_line, patch(b"x"), "blob_chunk"),
        (parse_diff_line, chunk(b"x"), "diff_chunk"),
        (parse_blob_line, chunk(b"x")[:-1] + b"," + patch(b"x")[1:], "blob_chunk"),
        (parse_diff_line, chunk(b"x")[:-1] + b"," + patch(b"x")[1:], "diff_chunk"),
    ):
        with pytest.raises(ChunkExpected, match="must hold one chunk") as refused:
            parse(line)
        assert refused.value.expected == expected


# Whole commits, on a node in memory


def in_scratch(node: Node) -> set[str]:
    """Return the names of the temporary files and new packs of the node's process."""
    return {
        path.name for path in node.store.scratch_dir().iterdir() if path.is_file() and path.name != "lock"
    }


def pack_stream(node: Node, caller: Principal, **files: str) -> CommitStream:
    """Return a stream that fills a commit of files; `files` maps paths to content ids."""

    def open_commit(line: bytes) -> OpenedCommit:
        assert line == METADATA
        changes = [FileChange(TreePath(path.encode()), content, MODE_FILE) for path, content in files.items()]
        commit = start_commit(node, caller, StartCommit("r", TARGET, FACTS, changes))
        return OpenedCommit(commit, partial(add_to_pack, commit))

    return CommitStream(open_commit)


def add_to_pack(commit: PendingCommit, line: bytes) -> None:
    content_id, data, eof = parse_blob_line(line)
    commit.add_chunk(content_id, data, eof=eof)


def send(stream: CommitStream, *lines: bytes) -> NewCommit:
    """Send a whole body, commit and close the stream."""
    try:
        stream.feed(b"\n".join([METADATA, *lines]))
        return stream.finish().commit()
    finally:
        stream.close()


def read(node: Node, caller: Principal, path: str) -> bytes:
    return b"".join(open_file(node, caller, OpenFile("r", path.encode(), "main")).iter_bytes())


def test_chunks_of_several_files_may_come_in_turns(node: Node, memory_caller: Principal) -> None:
    send(
        pack_stream(node, memory_caller, one="a", two="b"),
        chunk(b"1", content_id="a", eof=False),
        chunk(b"x", content_id="b", eof=False),
        chunk(b"2", content_id="a", eof=False),
        chunk(b"y", content_id="b"),
        chunk(b"3", content_id="a"),
    )
    assert (read(node, memory_caller, "one"), read(node, memory_caller, "two")) == (b"123", b"xy")


def test_one_content_serves_several_files(node: Node, memory_caller: Principal) -> None:
    send(pack_stream(node, memory_caller, one="a", two="a"), chunk(b"same"))
    assert read(node, memory_caller, "one") == read(node, memory_caller, "two") == b"same"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "content is missing its last chunk"),
        ([chunk(b"x", eof=False)], "content is missing its last chunk"),
        ([chunk(b"x"), chunk(b"y")], "chunk after the last one of its content"),
        ([chunk(b"x", content_id="other")], "chunk for an unknown content_id"),
        ([chunk(b"x"), METADATA], "metadata may come only once"),
        ([chunk(b"x"), b"{"], "line is not valid JSON"),
        ([patch(b"x")], "must hold one chunk"),
    ],
)
def test_a_stream_that_does_not_fit_commits_nothing_and_leaves_nothing(
    node: Node, memory_caller: Principal, lines: list[bytes], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        send(pack_stream(node, memory_caller, one="a"), *lines)
    assert pack_states(node, lookup_repo(node, memory_caller, "r")) == {}
    assert in_scratch(node) == set()


def test_a_stream_that_breaks_off_leaves_nothing(node: Node, memory_caller: Principal) -> None:
    """The client went away in the middle of a content that was too large for memory."""
    stream = pack_stream(node, memory_caller, one="a", two="b")
    stream.feed(METADATA + b"\n" + chunk(b"done", content_id="b") + b"\n")
    for _ in range(3):
        stream.feed(chunk(b"x" * limits.chunk_decoded_max_bytes, eof=False) + b"\n")
    assert in_scratch(node)
    stream.close()
    assert in_scratch(node) == set()


def test_a_patch_may_be_cut_anywhere(node: Node, memory_caller: Principal) -> None:
    send(pack_stream(node, memory_caller, one="a"), chunk(b"old\n"))
    text = b"--- a/one\n+++ b/one\n@@ -1 +1 @@\n-old\n+new\n"

    def open_commit(_line: bytes) -> OpenedCommit:
        commit = start_patch_commit(node, memory_caller, StartPatchCommit("r", TARGET, FACTS))
        return OpenedCommit(commit, partial(add_to_patch, commit))

    pieces = [patch(text[i : i + 1], eof=i == len(text) - 1) for i in range(len(text))]
    made = send(CommitStream(open_commit), *pieces)
    assert read(node, memory_caller, "one") == b"new\n"
    assert made.old_oid is not None


def add_to_patch(commit: PendingPatchCommit, line: bytes) -> None:
    data, eof = parse_diff_line(line)
    commit.add_chunk(data, eof=eof)
