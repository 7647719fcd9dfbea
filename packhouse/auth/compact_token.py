"""The compact form of a signed token: three parts of base64url between dots (RFC 7515 section 7.1).

This module reads only the form. Believe nothing from it before the signature over `signed_bytes` is verified.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.auth.token_refusals import (
    TokenNotAnObject,
    TokenNotBase64url,
    TokenNotInParts,
    TokenNotJson,
    TokenTooLarge,
)

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class CompactToken:
    """A parsed token: header and claims as JSON objects, and the bytes under the signature."""

    header: dict[str, object]
    claims: dict[str, object]
    signed_bytes: bytes
    signature: bytes


def parse_compact_token(token: str) -> CompactToken:
    """Return the parts of `token`. Raises TokenRefused if it is too large or malformed."""
    if len(token) > limits.token_max_bytes:
        raise TokenTooLarge()
    parts = token.split(".", 3)
    if len(parts) != 3:
        raise TokenNotInParts()
    header, claims, signature = (_decode_part(part) for part in parts)
    return CompactToken(
        header=_read_object(header),
        claims=_read_object(claims),
        signed_bytes=token.rpartition(".")[0].encode("ascii"),
        signature=signature,
    )


def _decode_part(part: str) -> bytes:
    # Python's decoder skips characters outside the alphabet. The form allows no such characters.
    if not _BASE64URL.fullmatch(part):
        raise TokenNotBase64url()
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise TokenNotBase64url() from None


def _read_object(encoded: bytes) -> dict[str, object]:
    """Return the JSON object in `encoded`. All its text is valid Unicode."""
    try:
        text = encoded.decode("utf-8")
        value = _decoder.decode(text)
        if "\\u" in text:
            # An escaped half of a surrogate pair is no text: neither SQL nor a reply could hold it.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise TokenNotJson() from None
    if not isinstance(value, dict):
        raise TokenNotAnObject()
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_decoder: Final = json.JSONDecoder(parse_constant=_refuse_constant)
"""Kept, because making a decoder for each token takes as long as reading it."""
