"""Chunk lines: which base64 is accepted, and how long a line may be."""

import base64
import json
import textwrap

import pytest

from packhouse import limits
from packhouse.errors import Invalid
from packhouse.web.json.ndjson import LineSplitter, parse_blob_line, parse_diff_line

pytestmark = pytest.mark.quick

DATA = bytes(range(256)) * 3 + b"x"  # its base64 has padding and every character
TEXT = base64.b64encode(DATA).decode()


def decode(text: str, *, patch: bool = False) -> bytes:
    chunk = {"data": text, "eof": True}
    if patch:
        data, eof = parse_diff_line(json.dumps({"diff_chunk": chunk}).encode())
    else:
        line = {"blob_chunk": {"content_id": "1", **chunk}}
        content_id, data, eof = parse_blob_line(json.dumps(line).encode())
        assert content_id == "1"
    assert eof
    return data


def wrapped(text: str, end: str, width: int = 76) -> str:
    return "".join(line + end for line in textwrap.wrap(text, width))


@pytest.mark.parametrize("patch", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT + "\n",
        TEXT + "\r\n",
        "\r\n" + TEXT,
        wrapped(TEXT, "\n"),
        wrapped(TEXT, "\r\n"),
        wrapped(TEXT, "\n", 64).rstrip("\n"),
        wrapped(TEXT, " \t\f", 1),
        TEXT.replace("==", "=\n="),
        TEXT.replace("==", "\n==\n"),
    ],
)
def test_white_space_in_base64_is_skipped_wherever_it_stands(text: str, patch: bool) -> None:
    assert decode(text, patch=patch) == DATA


def test_white_space_alone_is_no_data() -> None:
    assert decode("") == decode("\n") == decode(" \r\n\t\f ") == b""


@pytest.mark.parametrize("slash", ["/", "\\/", "\\u002f"])
def test_escaped_characters_may_stand_between_line_breaks(slash: str) -> None:
    text = json.dumps(wrapped(TEXT, "\n")).replace("/", slash)
    line = f'{{"diff_chunk":{{"data":{text}}}}}'
    assert parse_diff_line(line.encode()) == (DATA, False)


@pytest.mark.parametrize(
    "text",
    [
        *("=", "====", "\n=\n", "YQ", "YQ=", "YQ===", "Y===", "YWI", "YWJjZ", "YWJjZA"),
        *(
            "Y\nQ",
            "YQ=\n",
            "YQ==\n=",
            "YQ==YQ==",
            "YQ==\nYQ==",
            "YQ==YWJj",
            "YQ==\r\nYWJj\r\n",
            "=YQ=",
            "Y=Q=",
        ),
        *("YQ==!", "Y*Q==", "YQ==\n-", "YWJj\n-_-_", "YWJj\\n", "YWJj\\", "\\\nn", "YW.J", "YWJj,YWJj"),
        *(
            "YWJj\x00",
            "YWJj\x0b",
            "YWJj\x85",
            "YWJj\u2028",
            "YWJj\xa0",
            "YWJj\ufeff",
            "é===",
            "data:;base64,YQ==",
        ),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    for patch in (False, True):
        with pytest.raises(Invalid):
            decode(text, patch=patch)


@pytest.mark.parametrize(
    ("end", "width"), [(r"\n", 76), (r"\r\n", 76), (r"\n", 64), (r"\r\n", 64), (r"\u000d\u000a", 76)]
)
def test_a_line_has_room_for_4_mib_that_is_wrapped(end: str, width: int) -> None:
    data = b"\xfb" * limits.chunk_decoded_max_bytes
    text = base64.b64encode(data).decode()
    lines = end.join(text[start : start + width] for start in range(0, len(text), width))
    chunk = f'{{"content_id": "{"c" * 1000}", "data": "{lines + end}", "eof": true}}'
    splitter = LineSplitter()
    metadata, line = splitter.feed(b'{"metadata": {}}\n{"blob_chunk": %s}\n' % chunk.encode())
    assert metadata == b'{"metadata": {}}'
    assert parse_blob_line(line) == ("c" * 1000, data, True)


def test_white_space_hides_no_data_beyond_the_limit() -> None:
    text = base64.b64encode(b"x" * (limits.chunk_decoded_max_bytes + 1)).decode()
    with pytest.raises(Invalid, match="too large"):
        decode(text + "\n")
