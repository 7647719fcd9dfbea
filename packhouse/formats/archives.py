"""Archives as streams: tar, tar.gz, tar.bz2 and zip, made while they are sent.

Sources: POSIX.1-2017 pax, "ustar Interchange Format", with GNU long names; APPNOTE.TXT for zip. In a zip, the upper
half of the external attributes holds the Unix mode.
"""

import bz2
import io
import stat
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from isal import igzip_threaded

from packhouse import limits
from packhouse.clock import clamp_timestamp
from packhouse.errors import Code, Invalid

_BUFFER_BYTES: Final = 512 * limits.KIB
_RECORD_BYTES: Final = tarfile.RECORDSIZE
_ZIP_DATE_MIN: Final = (1980, 1, 1, 0, 0, 0)
_ZIP_DATE_MAX: Final = (2107, 12, 31, 23, 59, 59)
_ZIP_NAME_IS_UTF8: Final = 0x800  # APPNOTE.TXT, 4.4.4, bit 11
_GZIP_THREADS: Final = 2


class ArchivePrefixInvalid(Invalid):
    """The prefix would leave the folder that the archive is unpacked in. `prefix` is its start."""

    code = Code.ARCHIVE_PREFIX_INVALID
    prefix: str


def archive_prefix(text: str) -> bytes:
    """Return the prefix with a slash at its end; raise ArchivePrefixInvalid for one that leaves the archive's root."""
    if not text:
        return b""
    hostile = "\\" in text or text.startswith("/") or not text.isprintable()
    hostile = hostile or len(text) > limits.archive_prefix_max_chars
    segments = text.removesuffix("/").split("/")
    if hostile or any(segment in ("", ".", "..") for segment in segments):
        raise ArchivePrefixInvalid(text[:200])
    return text.removesuffix("/").encode("utf-8") + b"/"


class MemberKind(Enum):
    """What an entry becomes on the disk when the archive is unpacked."""

    FILE = "file"
    EXECUTABLE = "executable"
    LINK = "link"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry. `pieces` yields its content: for a symlink the target, for a folder nothing."""

    name: bytes
    kind: MemberKind
    size_bytes: int
    pieces: Iterable[bytes]


Members = Iterable[Member]
Format = Callable[[Members, int], Iterator[bytes]]
"""Makes an archive of members. All have the same modification time, in seconds since 1970."""


def iter_tar(members: Members, modified_at: int) -> Iterator[bytes]:
    """Yield an uncompressed tar."""
    buffer = bytearray()
    written = 0
    for member in members:
        buffer += _tar_header(member, modified_at)
        if member.kind is not MemberKind.FOLDER and not _is_link(member):
            for piece in member.pieces:
                buffer += piece
                if len(buffer) >= _BUFFER_BYTES:
                    yield bytes(buffer)
                    written += len(buffer)
                    buffer.clear()
            buffer += bytes(-member.size_bytes % tarfile.BLOCKSIZE)
    buffer += bytes(2 * tarfile.BLOCKSIZE)
    buffer += bytes(-(written + len(buffer)) % _RECORD_BYTES)
    yield bytes(buffer)


def _tar_header(member: Member, modified_at: int) -> bytes:
    info = tarfile.TarInfo(member.name.decode("utf-8", "surrogateescape"))
    info.mtime = clamp_timestamp(modified_at)
    info.mode = 0o755 if member.kind is MemberKind.EXECUTABLE else 0o644
    info.size = member.size_bytes
    if _is_link(member):
        target = b"".join(member.pieces)
        info.type, info.mode, info.size = tarfile.SYMTYPE, 0o777, 0
        info.linkname = target.decode("utf-8", "surrogateescape")
    elif member.kind is MemberKind.FOLDER:
        info.type, info.mode, info.size = tarfile.DIRTYPE, 0o755, 0
        info.name += "/"
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _is_link(member: Member) -> bool:
    """Tell whether a member is stored as a symlink. No system could follow a target of megabytes; it becomes a file."""
    return member.kind is MemberKind.LINK and member.size_bytes <= limits.archive_link_max_bytes


def iter_tar_gz(members: Members, modified_at: int) -> Iterator[bytes]:
    """Yield a tar, compressed by isal in its own threads beside the thread that makes the tar."""
    sink = _Sink()
    with igzip_threaded.open(sink, "wb", compresslevel=1, threads=_GZIP_THREADS) as gzip:  # type: ignore[no-untyped-call]  # isal ships no types
        for piece in iter_tar(members, modified_at):
            gzip.write(piece)
            if ready := sink.take():
                yield ready
    yield sink.take()


def iter_tar_bz2(members: Members, modified_at: int) -> Iterator[bytes]:
    """Yield a tar compressed by bzip2, which is slow."""
    compressor = bz2.BZ2Compressor()
    for piece in iter_tar(members, modified_at):
        if ready := compressor.compress(piece):
            yield ready
    yield compressor.flush()


def iter_zip(members: Members, modified_at: int) -> Iterator[bytes]:
    """Yield a zip. The sizes follow the data, because a stream cannot be written out of order."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member in members:
            info = _zip_info(member, modified_at)
            if info.is_dir():
                archive.writestr(info, b"")
                continue
            with archive.open(info, "w", force_zip64=member.size_bytes > zipfile.ZIP64_LIMIT // 2) as entry:
                for piece in member.pieces:
                    entry.write(piece)
                    if sink.size_bytes >= _BUFFER_BYTES:
                        yield sink.take()
    yield sink.take()


def _zip_info(member: Member, modified_at: int) -> zipfile.ZipInfo:
    name = member.name + (b"/" if member.kind is MemberKind.FOLDER else b"")
    date = min(max(time.gmtime(clamp_timestamp(modified_at))[:6], _ZIP_DATE_MIN), _ZIP_DATE_MAX)
    info = _ZipInfo(name.decode("utf-8", "surrogateescape"), date)
    info.create_system = 3  # Unix: unpackers use the mode below
    if member.kind is MemberKind.FOLDER:
        info.external_attr = (stat.S_IFDIR | 0o755) << 16 | 0x10
    elif _is_link(member):
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
    else:
        info.external_attr = (stat.S_IFREG | (0o755 if member.kind is MemberKind.EXECUTABLE else 0o644)) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


class _ZipInfo(zipfile.ZipInfo):
    """Keeps the bytes of names that are not UTF-8, as git archive does. Replaced bytes could make two names equal."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        # zipfile calls this method for both headers of a member. It has no public way to pass a name as bytes.
        raw = self.filename.encode("utf-8", "surrogateescape")
        is_plain = raw.isascii() or not _is_utf8(raw)
        return raw, self.flag_bits if is_plain else self.flag_bits | _ZIP_NAME_IS_UTF8


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Sink(io.RawIOBase):
    """A file that collects what is written to it; `take` empties it. Compressors write from their own threads."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # any buffer; typeshed cannot say so here
        with self._guard:
            self._pieces.append(piece)
            self.size_bytes += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return the bytes that were written since the last call."""
        with self._guard:
            pieces, self._pieces, self.size_bytes = self._pieces, [], 0
        return b"".join(pieces)


FORMATS: Final[dict[str, tuple[Format, str]]] = {
    "tar": (iter_tar, "application/x-tar"),
    "tar.gz": (iter_tar_gz, "application/gzip"),
    "tar.bz2": (iter_tar_bz2, "application/x-bzip2"),
    "zip": (iter_zip, "application/zip"),
}
"""Name of each format, with the function that makes it and its media type."""
