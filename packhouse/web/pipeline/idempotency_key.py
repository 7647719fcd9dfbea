"""The Idempotency-Key field: a string in quotes, or bare text.

Source: draft-ietf-httpapi-idempotency-key-header-07, "The Idempotency-Key HTTP Header Field".
"""

import re
from collections.abc import Sequence
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid

# A string, and an item of one with its parameters, which mean nothing here. Source: RFC 9651, section 3.
_STRING: Final = r'"((?:[ !#-\[\]-~]|\\["\\])*)"'
_PARAMETER: Final = r' *; *[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[ !#-\[\]-~]|\\["\\])*"|[!#-+\--:<-~]+))?'
_QUOTED: Final = re.compile(f"{_STRING}(?:{_PARAMETER})*")
# What most clients send. A comma would be the trace of two fields that a proxy has joined.
_BARE: Final = re.compile(r"[ !#-+\--~]+")
_ESCAPED: Final = re.compile(r'\\(["\\])')


class SeveralKeys(Invalid):
    """The request has more than one key, and nothing tells which one counts."""

    code = Code.SEVERAL_KEYS


class KeyMalformed(Invalid):
    """The header is neither a string in quotes (RFC 9651 section 3.3.3) nor bare text."""

    code = Code.KEY_MALFORMED


class KeyLengthInvalid(Invalid):
    """The key is empty, or longer than it may be."""

    code = Code.KEY_LENGTH_INVALID
    max_chars: int


def read_key(fields: Sequence[str]) -> str | None:
    """Return the key in the fields of that name; None without a field.

    The key is a string in quotes or, as clients also send it, bare text. Raises Invalid for anything else, also for
    blank text: a client that sends it believes that it is protected.
    """
    if not fields:
        return None
    if len(fields) > 1:
        raise SeveralKeys()
    text = fields[0].strip(" \t")
    if quoted := _QUOTED.fullmatch(text):
        key = _ESCAPED.sub(r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        key = text
    else:
        raise KeyMalformed()
    if not key.strip() or len(key) > limits.idempotency_key_max_chars:
        raise KeyLengthInvalid(limits.idempotency_key_max_chars)
    return key
