"""Ids of requests: the client's own, or a new one."""

import random
import re
from collections.abc import Iterable
from typing import Final

from packhouse import limits

ID_HEADER: Final = b"x-request-id"

_ID: Final = re.compile(rb"[\x21-\x7e]{1,%d}" % limits.request_id_max_chars)


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the id that the client gave, if it is of printable ASCII without blanks and not long, or a new one."""
    for name, value in headers:
        if name == ID_HEADER:
            if _ID.fullmatch(value):
                return value
            break
    # Nothing is secret in it, and the system's randomness lets other threads have the interpreter, which takes long.
    return b"%032x" % random.getrandbits(128)
