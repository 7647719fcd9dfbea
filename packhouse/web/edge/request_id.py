"""Ids of requests: the client's own, or a new one."""

import random
import re
from collections.abc import Iterable
from typing import Final

from packhouse import limits

ID_HEADER: Final = b"x-request-id"

_ID: Final = re.compile(rb"[\x21-\x7e]{1,%d}" % limits.request_id_max_chars)


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the client's own id if it is short, printable ASCII without blanks; a new one otherwise."""
    for name, value in headers:
        if name == ID_HEADER:
            if _ID.fullmatch(value):
                return value
            break
    # An id is no secret. Asking the system for randomness would release the interpreter, and waiting for it takes long.
    return b"%032x" % random.getrandbits(128)
