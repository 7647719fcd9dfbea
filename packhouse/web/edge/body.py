"""Request bodies: bounded in size and in silence, and inflated when the client compressed them."""

import asyncio
import contextlib
import hashlib
import zlib
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import Receive, Scope

from packhouse import limits
from packhouse.errors import Code, Invalid, LimitExceeded, TimedOut

_GZIP_WINDOW_BITS: Final = 31  # zlib's way to say "gzip format, largest window"
_INFLATE_STEP_BYTES: Final = 256 * limits.KIB


class EncodingUnknown(Invalid):
    """The body has another encoding than gzip, or this call takes no encoded body."""

    code = Code.ENCODING_UNKNOWN
    encoding: str


class GzipInvalid(Invalid):
    """The bytes of the body are not gzip (RFC 1952)."""

    code = Code.GZIP_INVALID


class GzipTrailing(Invalid):
    """The body has bytes after its one gzip member."""

    code = Code.GZIP_TRAILING


class GzipCutOff(Invalid):
    """The body ends within its gzip member."""

    code = Code.GZIP_CUT_OFF


class BodyTooLarge(LimitExceeded):
    """The body is larger than this call takes."""

    code = Code.BODY_TOO_LARGE
    max_bytes: int


class ClientStalled(TimedOut):
    """The client stopped in the middle of its body."""

    code = Code.CLIENT_STALLED
    stall_max_s: float


class ClientGone(Exception):
    """The client closed the connection, so nobody waits for an answer."""


class Fingerprint:
    """A hash over the request: `start`, then its body, inflated. The sizes of the pieces make no difference.

    `is_whole` is True once the end of the body has been hashed.
    """

    def __init__(self, start: bytes) -> None:
        self._hash = hashlib.sha256(len(start).to_bytes(8, "big") + start)
        self.is_whole = False

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        self._hash.update(piece)

    def text(self) -> str:
        """Return the hash. The body has been read to its end."""
        assert self.is_whole, "the body was not read to its end"
        return self._hash.hexdigest()


class RequestBody:
    """The body of one request as it arrives, not inflated yet.

    iter_body() feeds the inflated bytes to `fingerprint`, if there is one.
    """

    def __init__(self, scope: Scope, receive: Receive, *, stall_max_s: float) -> None:
        self._receive = receive
        self._stall_max_s = stall_max_s
        headers = dict(scope["headers"])
        self.declared_bytes = _declared_bytes(headers)
        self.continue_expected: bool = scope.get("packhouse.continue_expected", False)
        self.encoding = headers.get(b"content-encoding", b"").strip().lower()
        self.started = False
        self.stalled = False
        self.complete = self.declared_bytes == 0
        self.received_bytes = 0
        self.fingerprint: Fingerprint | None = None

    async def read(self) -> bytes:
        """Return the next bytes as they arrive, b"" at the end.

        Raises ClientStalled when no byte arrives in time, and ClientGone when the connection is lost.
        """
        while not self.complete:
            self.started = True
            try:
                async with asyncio.timeout(self._stall_max_s):
                    message = await self._receive()
            except TimeoutError:
                self.stalled = True
                raise ClientStalled(self._stall_max_s) from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            self.complete = not message.get("more_body", False)
            if body := message.get("body", b""):
                self.received_bytes += len(body)
                return bytes(body)
        return b""

    async def drain(self, max_bytes: int) -> bool:
        """Read and drop the rest of the body, at most `max_bytes`; tell whether its end was reached.

        A client that is answered while it still sends may see a reset instead of the answer. A client that waits for
        `100 Continue` has sent no body: reading would ask it to send one.
        """
        if self.complete:
            return True
        if self.stalled or (self.continue_expected and not self.started):
            return False
        left = max_bytes
        if self.declared_bytes is not None and self.declared_bytes > max_bytes:
            return False
        try:
            while chunk := await self.read():
                left -= len(chunk)
                if left < 0:
                    return False
        except ClientStalled:
            return False
        return True

    async def linger(self, timeout_s: float) -> None:
        """Read and drop what arrives, until the body ends, the connection is lost or the time is over."""
        if self.continue_expected and not self.started:
            return
        with contextlib.suppress(ClientGone, ClientStalled, TimeoutError):
            async with asyncio.timeout(timeout_s):
                while await self.read():
                    continue


def _declared_bytes(headers: dict[bytes, bytes]) -> int | None:
    """Return the declared length, 0 without a body, None for a chunked body."""
    if b"transfer-encoding" in headers:
        return None
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def iter_body(upload: RequestBody, *, max_bytes: int, decode_gzip: bool = True) -> AsyncIterator[bytes]:
    """Yield the body in pieces of at most a few hundred KiB, inflated when it is sent as gzip.

    The bound `max_bytes` counts inflated bytes, so that a body that inflates a thousandfold costs one piece. Raises
    BodyTooLarge, Invalid for a damaged or unknown encoding, ClientStalled and ClientGone.
    """
    if upload.declared_bytes is not None and upload.declared_bytes > max_bytes:
        raise BodyTooLarge(max_bytes)
    gzip = upload.encoding in (b"gzip", b"x-gzip")
    if upload.encoding not in (b"", b"identity") and not (gzip and decode_gzip):
        raise EncodingUnknown(upload.encoding.decode("latin-1")[:40])
    seen = 0
    async for piece in _inflate(upload) if gzip else _pieces(upload):
        seen += len(piece)
        if seen > max_bytes:
            raise BodyTooLarge(max_bytes)
        if upload.fingerprint is not None:
            upload.fingerprint.feed(piece)
        yield piece
    if upload.fingerprint is not None:
        upload.fingerprint.is_whole = True


async def drop_body(upload: RequestBody, *, max_bytes: int) -> None:
    """Read the rest of a body that is not needed. Raises the errors of iter_body()."""
    async for _ in iter_body(upload, max_bytes=max_bytes):
        continue


async def _pieces(upload: RequestBody) -> AsyncIterator[bytes]:
    while chunk := await upload.read():
        yield chunk


async def _inflate(upload: RequestBody) -> AsyncIterator[bytes]:
    """Inflate one gzip member. The output of one step is bounded for every ratio of compression."""
    inflater = zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)
    empty = True
    while chunk := await upload.read():
        empty = False
        full = True
        while chunk or full:
            if inflater.eof:
                break
            try:
                piece = inflater.decompress(chunk, _INFLATE_STEP_BYTES)
            except zlib.error:
                raise GzipInvalid() from None
            chunk = inflater.unconsumed_tail
            # A full piece may be followed by more that the inflater keeps though it took all its input.
            full = len(piece) == _INFLATE_STEP_BYTES
            if piece:
                yield piece
                await asyncio.sleep(0)  # one small chunk may inflate to many pieces: let others run
        if inflater.unused_data:
            raise GzipTrailing()
    if not empty and not inflater.eof:
        raise GzipCutOff()
