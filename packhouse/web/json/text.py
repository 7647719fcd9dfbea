"""JSON from outside (RFC 8259). Only the members that an operation knows are decoded.

A body of 16 MiB can hold five million empty lists, which take 600 MB and seconds to build, during which no other thread
of the process runs. So unknown members are skipped, which builds nothing, and a known member may hold a bounded number
of values.
"""

import functools
from typing import Any, Final

import msgspec

from packhouse import limits
from packhouse.errors import Code, Invalid

_TEXT: Final = b'"'
_SEPARATORS: Final = (b",", b"[", b"{")


class ObjectExpected(Invalid):
    """The JSON value is not an object. `field` tells where it stands."""

    code = Code.OBJECT_EXPECTED
    field: str


class JsonNotUtf8(Invalid):
    """The body is not UTF-8, as JSON must be (RFC 8259 section 8.1)."""

    code = Code.JSON_NOT_UTF8


class JsonInvalid(Invalid):
    """The body is not JSON. `reason` is the parser's."""

    code = Code.JSON_INVALID
    reason: str


class JsonTooDeep(Invalid):
    """The body is nested deeper than the parser follows."""

    code = Code.JSON_TOO_DEEP


class JsonTooLarge(Invalid):
    """A list or an object of the body is longer than any that a request needs."""

    code = Code.JSON_TOO_LARGE
    values_max: int


def decode_json(text: bytes, *, values_max: int = limits.json_values_max) -> Any:
    """Return the decoded value; raise Invalid for text that is not JSON, or that holds too many values.

    `values_max` bounds the values within lists and objects. Commas and brackets in their texts count too.
    """
    may_be_many = len(text) > values_max and not text.startswith(_TEXT)
    if may_be_many and sum(map(text.count, _SEPARATORS)) > values_max:
        raise JsonTooLarge(values_max)
    try:
        return _decode(text, Any)
    except msgspec.ValidationError as error:  # such as a number that no float can hold
        raise _not_json(error) from None


def split_object(text: bytes, names: tuple[str, ...]) -> dict[str, bytes] | None:
    """Return the members of a JSON object that are among `names`, not decoded; None for any other value.

    The last of duplicate members counts. Raises Invalid for text that is not JSON.
    """
    try:
        found = _decode(text, _shape(names))
        text.decode("utf-8")  # the parser checks everything but this in a member that it skips
    except msgspec.ValidationError:
        return None
    except UnicodeDecodeError:
        raise _not_utf8() from None
    return {
        name: bytes(raw)
        for field, name in zip(found.__struct_fields__, names, strict=True)
        if (raw := getattr(found, field)) is not msgspec.UNSET
    }


def decode_members(
    text: bytes, names: tuple[str, ...], *, at: str = "the body", values_max: int = limits.json_values_max
) -> dict[str, Any]:
    """Return the members of a JSON object that are among `names`, each of at most `values_max` values.

    Raises Invalid for any other value; `at` names its place in the error.
    """
    members = split_object(text, names)
    if members is None:
        raise ObjectExpected(at)
    return {name: decode_json(member, values_max=values_max) for name, member in members.items()}


@functools.cache
def _shape(names: tuple[str, ...]) -> type[msgspec.Struct]:
    members: list[tuple[str, Any, Any]] = [
        (f"m{place}", msgspec.Raw | msgspec.UnsetType, msgspec.field(name=name, default=msgspec.UNSET))
        for place, name in enumerate(names)
    ]
    return msgspec.defstruct("Members", members)


def _decode(text: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        raise _not_json(error) from None
    except RecursionError:
        raise JsonTooDeep() from None
    except UnicodeDecodeError:
        raise _not_utf8() from None


def _not_json(error: msgspec.DecodeError) -> Invalid:
    return JsonInvalid(str(error)[:200])


def _not_utf8() -> Invalid:
    return JsonNotUtf8()
