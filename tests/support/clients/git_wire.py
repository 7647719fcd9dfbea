"""Git's wire formats, written by hand for requests that no git would send."""

import hashlib
import struct
import zlib

ZERO = "0" * 40
UPLOAD, RECEIVE = "git-upload-pack", "git-receive-pack"


def pkt(text: str | bytes) -> bytes:
    """Return a pkt-line."""
    payload = text.encode() if isinstance(text, str) else text
    return b"%04x%b" % (len(payload) + 4, payload)


def pack(*objects: tuple[int, bytes]) -> bytes:
    """Return a pack of undeltified objects given as (type number, content)."""
    body = struct.pack(">4sII", b"PACK", 2, len(objects))
    for kind, content in objects:
        size, head = len(content), []
        byte = kind << 4 | size & 15
        size >>= 4
        while size:
            head.append(byte | 0x80)
            byte, size = size & 0x7F, size >> 7
        body += bytes([*head, byte]) + zlib.compress(content)
    return body + hashlib.sha1(body).digest()


def command(name: bytes, new: str, old: str = ZERO, capabilities: bytes = b"report-status") -> bytes:
    """Return the pkt-line of a push's first command."""
    return pkt(b"%b %b %b\0%b" % (old.encode(), new.encode(), name, capabilities))
