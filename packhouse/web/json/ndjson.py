"""Commit streams: newline-delimited JSON, a metadata line and then chunks of base64.

Lines are cut as bytes arrive, and memory holds one line. A line with 4 MiB of data is 5.6 MB of text, and up to 6.5 MB
when its base64 is wrapped.
"""

import binascii
from collections.abc import Iterator
from typing import Annotated, Final, TypeVar

import msgspec
import pybase64

from packhouse import limits
from packhouse.errors import Code, Invalid
from packhouse.web.json.fields import member_names, parse_object
from packhouse.web.json.text import decode_members, split_object

S = TypeVar("S", bound=msgspec.Struct)

_Base64 = Annotated[
    msgspec.Raw,  # the text as it stands in the line: a decoded `str` would be a second copy of 5.6 MB
    msgspec.Meta(
        description=f"Base64, which may be wrapped, of at most {limits.chunk_decoded_max_bytes} bytes.",
        extra_json_schema={
            "type": "string",
            "contentEncoding": "base64",
            "maxLength": limits.chunk_line_max_bytes,
            "pattern": r"^[A-Za-z0-9+/=\s]*$",
        },
    ),
]


class MetadataMissing(Invalid):
    """The first line of the stream is not an object with `metadata`, or the stream is empty."""

    code = Code.METADATA_MISSING


class MetadataRepeated(Invalid):
    """A line after the first has a member `metadata`."""

    code = Code.METADATA_REPEATED


class LineTooLong(Invalid):
    """A line of the stream is longer than `max_bytes`."""

    code = Code.LINE_TOO_LONG
    max_bytes: int


class LineNotJson(Invalid):
    """A line of the stream is not JSON. `reason` is the parser's."""

    code = Code.LINE_NOT_JSON
    reason: str


class LineTooDeep(Invalid):
    """A line of the stream is nested deeper than the parser follows."""

    code = Code.LINE_TOO_DEEP


class ChunkExpected(Invalid):
    """A line after the first holds no chunk. `expected` is the member that holds one."""

    code = Code.CHUNK_EXPECTED
    expected: str


class ChunkInvalid(Invalid):
    """A line of the stream has other members than a chunk. `reason` is the parser's."""

    code = Code.CHUNK_INVALID
    reason: str


class ChunkNotText(Invalid):
    """The member `data` of a chunk is not a string."""

    code = Code.CHUNK_NOT_TEXT


class ChunkNotBase64(Invalid):
    """The member `data` of a chunk is not base64."""

    code = Code.CHUNK_NOT_BASE64


class ChunkTooLarge(Invalid):
    """The decoded data of one chunk is too long. Send more and smaller chunks."""

    code = Code.CHUNK_TOO_LARGE
    max_bytes: int


class BlobChunkFields(msgspec.Struct):
    """A piece of the content that the metadata calls `content_id`; the last one has `eof`."""

    content_id: str
    data: _Base64
    eof: bool | None = False


class BlobChunkLine(msgspec.Struct):
    """A line of a commit from files, after the first."""

    blob_chunk: BlobChunkFields


class DiffChunkFields(msgspec.Struct):
    """A piece of the patch; the last one has `eof`."""

    data: _Base64
    eof: bool | None = False


class DiffChunkLine(msgspec.Struct):
    """A line of a commit from a patch, after the first."""

    diff_chunk: DiffChunkFields


class _Line(msgspec.Struct):
    """Any line of a stream. It tells a line of the wrong kind from a malformed one."""

    metadata: dict[str, msgspec.Raw] | None = None
    blob_chunk: BlobChunkFields | None = None
    diff_chunk: DiffChunkFields | None = None


_WHITE_SPACE: Final = b" \t\n\f\r"  # what base64(1) and others put between lines; nothing else is skipped
_decoder: Final = msgspec.json.Decoder(_Line)


class LineSplitter:
    """Cuts a byte stream into lines. `\\r\\n` counts as one end, and blank lines are dropped.

    The first line may be as long as metadata, later lines as long as a chunk.
    """

    def __init__(
        self,
        *,
        first_max_bytes: int = limits.metadata_line_max_bytes,
        later_max_bytes: int = limits.chunk_line_max_bytes,
    ) -> None:
        self._rest = bytearray()
        self._searched = 0
        self._line_max_bytes = first_max_bytes
        self._later_max_bytes = later_max_bytes

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
            self._line_max_bytes = self._later_max_bytes
        return line

    def _check_length(self, length: int) -> None:
        if length > self._line_max_bytes:
            raise LineTooLong(self._line_max_bytes)


def parse_metadata_line(line: bytes, kind: type[S], *, where: str) -> S:
    """Return the value of `metadata` of a first line. `where` names the row of aliases.

    Raises Invalid for another line, and for an unfit member, which it names.
    """
    metadata = (split_object(line, ("metadata",)) or {}).get("metadata", b"")
    if not metadata.startswith(b"{"):
        raise MetadataMissing()
    names = member_names(kind, where)
    members = decode_members(metadata, names, values_max=limits.metadata_values_max)
    return parse_object(members, kind, where=where, at="metadata")


def parse_blob_line(line: bytes) -> tuple[str, bytes, bool]:
    """Return (content_id, data, eof) of a line after the first in a commit from files.

    Raises Invalid for anything but one `blob_chunk`, for bad base64 and for more than 4 MiB of data.
    """
    parsed = _parse_line(line)
    chunk = parsed.blob_chunk
    if chunk is None or parsed.diff_chunk is not None:
        raise ChunkExpected("blob_chunk")
    return chunk.content_id.strip(), _decode_data(chunk.data), bool(chunk.eof)


def parse_diff_line(line: bytes) -> tuple[bytes, bool]:
    """Return (data, eof) of a line after the first in a commit from a patch.

    Raises Invalid for anything but one `diff_chunk`, for bad base64 and for more than 4 MiB of data.
    """
    parsed = _parse_line(line)
    chunk = parsed.diff_chunk
    if chunk is None or parsed.blob_chunk is not None:
        raise ChunkExpected("diff_chunk")
    return _decode_data(chunk.data), bool(chunk.eof)


def _parse_line(line: bytes) -> _Line:
    try:
        parsed = _decoder.decode(line)
    except msgspec.ValidationError as error:
        raise ChunkInvalid(str(error)[:200]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LineNotJson(str(error)[:200]) from None
    except RecursionError:
        raise LineTooDeep() from None
    if parsed.metadata is not None:
        raise MetadataRepeated()
    return parsed


def _decode_data(raw: msgspec.Raw) -> bytes:
    """Return the bytes of a JSON string of base64 (RFC 4648 section 4), without copying the text first."""
    text = memoryview(raw)
    if bytes(text[:1]) != b'"':
        raise ChunkNotText()
    try:
        data = pybase64.b64decode(text[1:-1], validate=True)
    except (binascii.Error, ValueError):
        data = _decode_wrapped(raw)
    if len(data) > limits.chunk_decoded_max_bytes:
        raise ChunkTooLarge(limits.chunk_decoded_max_bytes)
    return data


def _decode_wrapped(raw: msgspec.Raw) -> bytes:
    """Decode base64 that is broken into lines (RFC 2045 section 6.8), or escaped as JSON allows (`\\/`, `\\u002b`)."""
    try:
        text = msgspec.json.decode(raw, type=str).encode("ascii").translate(None, _WHITE_SPACE)
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ChunkNotBase64() from None
