"""Commit streams: newline-delimited JSON, a metadata line and then chunks of base64.

Lines are taken apart as bytes arrive; memory holds one line. A line of 4 MiB of data is 5.6 MB of text, and up
to 6.5 MB when the base64 is wrapped.
"""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec
import pybase64

from packhouse import limits
from packhouse.errors import Invalid
from packhouse.web.json.fields import member_names, parse_object
from packhouse.web.json.text import decode_members, split_object

S = TypeVar("S", bound=msgspec.Struct)

_Base64 = Annotated[
    str,
    msgspec.Meta(
        description=f"Base64, which may be wrapped, of at most {limits.chunk_decoded_max_bytes} bytes.",
        extra_json_schema={
            "contentEncoding": "base64",
            "maxLength": limits.chunk_line_max_bytes,
            "pattern": r"^[A-Za-z0-9+/=\s]*$",
        },
    ),
]


class BlobChunkFields(msgspec.Struct):
    """A piece of the content that the metadata calls `content_id`; the last one has `eof`."""

    content_id: str
    data: _Base64
    eof: bool = False


class BlobChunkLine(msgspec.Struct):
    """A line of a commit from files, after the first."""

    blob_chunk: BlobChunkFields


class DiffChunkFields(msgspec.Struct):
    """A piece of the patch; the last one has `eof`."""

    data: _Base64
    eof: bool = False


class DiffChunkLine(msgspec.Struct):
    """A line of a commit from a patch, after the first."""

    diff_chunk: DiffChunkFields


class _BlobChunk(msgspec.Struct):
    content_id: str
    data: msgspec.Raw
    eof: bool | None = False


class _DiffChunk(msgspec.Struct):
    data: msgspec.Raw
    eof: bool | None = False


class _Line(msgspec.Struct):
    metadata: dict[str, msgspec.Raw] | None = None
    blob_chunk: _BlobChunk | None = None
    diff_chunk: _DiffChunk | None = None


_WHITE_SPACE: Final = b" \t\n\f\r"  # what base64(1) and others put between lines; nothing else is skipped
_decoder: Final = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of content; `content_id` is None for a piece of a patch."""

    content_id: str | None
    data: bytes
    eof: bool


class LineSplitter:
    """Cuts a byte stream into lines; `\\r\\n` counts as one end, blank lines are dropped.

    The first line may be as long as metadata, later ones as long as a chunk.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        self._line_max_bytes = limits.metadata_line_max_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that `data` completes; raise Invalid for a line that is too long."""
        self._rest += data
        start = 0
        while (end := self._rest.find(b"\n", max(start, self._searched))) >= 0:
            self._searched = end + 1
            line = self._cut(start, end)
            start = end + 1
            if line:
                yield line
        del self._rest[:start]
        self._searched = len(self._rest)
        self._check_length(len(self._rest))

    def finish(self) -> Iterator[bytes]:
        """Yield the last line when the stream did not end with a newline."""
        line = self._cut(0, len(self._rest))
        if line:
            yield line

    def _cut(self, start: int, end: int) -> bytes:
        self._check_length(end - start)
        line = bytes(self._rest[start:end]).strip(b" \t\r")
        if line:
            self._line_max_bytes = limits.chunk_line_max_bytes
        return line

    def _check_length(self, length: int) -> None:
        if length > self._line_max_bytes:
            raise Invalid("line is too long", max_bytes=self._line_max_bytes)


def parse_metadata_line(line: bytes, kind: type[S], *, where: str) -> S:
    """Return the value of `metadata` of a first line; `where` names the row of aliases.

    Raises Invalid for any other line, and naming the member that does not fit.
    """
    metadata = (split_object(line, ("metadata",)) or {}).get("metadata", b"")
    if not metadata.startswith(b"{"):
        raise Invalid("first line must be an object with metadata")
    names = member_names(kind, where)
    members = decode_members(metadata, names, values_max=limits.metadata_values_max)
    return parse_object(members, kind, where=where, at="metadata")


def parse_chunk_line(line: bytes, *, patch: bool) -> Chunk:
    """Return the chunk of a later line: `diff_chunk` when `patch`, else `blob_chunk`.

    Raises Invalid for anything else, for bad base64 and for more than 4 MiB of data.
    """
    wanted = "diff_chunk" if patch else "blob_chunk"
    try:
        parsed = _decoder.decode(line)
    except msgspec.ValidationError as error:
        raise Invalid("chunk line does not fit", reason=str(error)[:200]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("line is not valid JSON", reason=str(error)[:200]) from None
    except RecursionError:
        raise Invalid("line is nested too deeply") from None
    if parsed.metadata is not None:
        raise Invalid("metadata may come only once, on the first line")
    chunks = [kind for kind in ("blob_chunk", "diff_chunk") if getattr(parsed, kind) is not None]
    if chunks != [wanted]:
        raise Invalid("each line after the first must hold one chunk", expected=wanted)
    if patch:
        assert isinstance(parsed.diff_chunk, _DiffChunk)
        return Chunk(None, _decode_data(parsed.diff_chunk.data), bool(parsed.diff_chunk.eof))
    assert isinstance(parsed.blob_chunk, _BlobChunk)
    content_id = parsed.blob_chunk.content_id.strip()
    return Chunk(content_id, _decode_data(parsed.blob_chunk.data), bool(parsed.blob_chunk.eof))


def _decode_data(raw: msgspec.Raw) -> bytes:
    """Return the bytes of a JSON string of base64 (RFC 4648 section 4), without copying the text first."""
    text = memoryview(raw)
    if bytes(text[:1]) != b'"':
        raise Invalid("data must be a string of base64")
    try:
        data = pybase64.b64decode(text[1:-1], validate=True)
    except (binascii.Error, ValueError):
        data = _decode_wrapped(raw)
    if len(data) > limits.chunk_decoded_max_bytes:
        raise Invalid("data of one chunk is too large", max_bytes=limits.chunk_decoded_max_bytes)
    return data


def _decode_wrapped(raw: msgspec.Raw) -> bytes:
    """Decode base64 that is broken into lines (RFC 2045 section 6.8), or escaped as JSON allows (`\\/`, `\\u002b`)."""
    try:
        text = msgspec.json.decode(raw, type=str).encode("ascii").translate(None, _WHITE_SPACE)
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("data is not valid base64") from None
