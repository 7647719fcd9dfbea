"""Reading query strings and JSON objects into typed structs, by the rules that all endpoints share.

Text is trimmed. Blank text and null count as absent. Unknown members are ignored. Old names stand in for absent
standard ones. Booleans of a query are the words true, false, 1 and 0, and a blank one is absent. JSON members must have
their type, so blank text is absent only where text belongs.
"""

import functools
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar, Union
from urllib.parse import parse_qsl

import msgspec

from packhouse import limits
from packhouse.errors import Code, FieldInvalid, FieldMissing, Invalid
from packhouse.git import BranchNameInvalid
from packhouse.web.json.text import ObjectExpected
from packhouse.web.routing.dialects import REQUEST_ALIASES, BranchMember

S = TypeVar("S", bound=msgspec.Struct)

Verbatim = Annotated[str, msgspec.Meta(extra={"verbatim": True})]
"""Text that is not trimmed: a path may start with a space."""

_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}
_NUMBER: Final = re.compile(r"-?[0-9]{1,4000}")  # Python reads no number beyond 4,300 digits
_MISFIT: Final = re.compile(r"(?P<reason>.*?)(?: - at `\$\.?(?P<field>.*)`)?", re.DOTALL)
_NO_ROW: Final = ""
"""The row of aliases of objects within an object: their members have no old names."""


class ParameterMissing(Invalid):
    """A query parameter is absent. `field` is its name."""

    code = Code.PARAMETER_MISSING
    field: str


class QueryNotUtf8(Invalid):
    """The query is not UTF-8. Paths that are not UTF-8 have parameters of their own, in base64."""

    code = Code.QUERY_NOT_UTF8


class QueryTooLong(Invalid):
    """The query has more parameters than any call takes."""

    code = Code.QUERY_TOO_LONG
    fields_max: int


class ParameterNotABoolean(Invalid, kw_only=True):
    """A query parameter is neither true nor false. `value` is the start of its text."""

    code = Code.PARAMETER_NOT_A_BOOLEAN
    field: str
    value: str


class ParameterNotANumber(Invalid, kw_only=True):
    """A query parameter is not a whole number. `value` is the start of its text."""

    code = Code.PARAMETER_NOT_A_NUMBER
    field: str
    value: str


class LimitNegative(Invalid):
    """The limit of a page is negative."""

    code = Code.LIMIT_NEGATIVE
    field: str
    value: int


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: type
    required: bool
    trimmed: bool


@functools.cache
def _fields_of(kind: type[msgspec.Struct]) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple(
        _describe(f.encode_name, hints[f.name], required=f.required) for f in msgspec.structs.fields(kind)
    )


def _describe(name: str, hint: Any, *, required: bool) -> _Field:
    trimmed = True
    while True:
        origin = typing.get_origin(hint)
        if origin is Annotated:
            extras = [m.extra for m in hint.__metadata__ if isinstance(m, msgspec.Meta) and m.extra]
            trimmed = trimmed and not any(extra.get("verbatim") for extra in extras)
            hint = typing.get_args(hint)[0]
        elif origin in (Union, types.UnionType):
            choices = [a for a in typing.get_args(hint) if a not in (type(None), msgspec.UnsetType)]
            hint = choices[0]
        else:
            return _Field(name, origin or hint, required, trimmed)


@functools.cache
def _named_fields_of(kind: type[msgspec.Struct], where: str) -> tuple[tuple[_Field, tuple[str, ...]], ...]:
    """Return each field with the names that it may be given under: its own name, and the old names behind it."""
    aliases = REQUEST_ALIASES.get(where, {})
    return tuple((field, (field.name, *aliases.get(field.name, ()))) for field in _fields_of(kind))


@functools.cache
def member_names(kind: type[msgspec.Struct], where: str) -> tuple[str, ...]:
    """Return all names under which a request may give the members of `kind`, old names included."""
    named = _named_fields_of(kind, where)
    return tuple(dict.fromkeys(str(name) for _, names in named for name in names))


def parse_object(raw: object, kind: type[S], *, where: str, at: str = "") -> S:
    """Return a decoded JSON object as `kind`. `where` names the row of aliases, `at` the member that holds the object.

    Raises Invalid, which names the missing or unfit member.
    """
    return _convert(_tidy(raw, kind, where, at), kind, at)


def _tidy(raw: object, kind: type[msgspec.Struct], where: str, at: str) -> dict[str, Any]:
    """Return the present members under their standard names, with text trimmed."""
    if not isinstance(raw, dict):
        raise ObjectExpected(at or "the body")
    members: dict[str, Any] = {}
    for field, names in _named_fields_of(kind, where):
        value = _pick(raw, field, names)
        if value is None:
            if field.required:
                raise FieldMissing(_join(at, field.name))
            continue
        if issubclass(field.kind, msgspec.Struct):
            value = _tidy(value, field.kind, _NO_ROW, _join(at, field.name))
        members[field.name] = value
    return members


def _pick(raw: Mapping[str, Any], field: _Field, names: tuple[str, ...]) -> Any:
    """Return the value under the first of the names that has one; None when all are blank."""
    for name in names:
        value = raw.get(name)
        if isinstance(value, str) and field.kind is str:
            value = _check_branch(name, value.strip() if field.trimmed else value) or None
        if value is not None:
            return value
    return None


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _convert(members: dict[str, Any], kind: type[S], at: str) -> S:
    try:
        return msgspec.convert(members, kind, strict=True)
    except msgspec.ValidationError as error:
        found = _MISFIT.fullmatch(str(error))
        assert found is not None
        field, reason = found["field"] or "", found["reason"].replace("`", "")
        raise FieldInvalid(field=_join(at, field), reason=_plain(reason)) from None


def _plain(reason: str) -> str:
    """Return msgspec's reason with the words that JSON has for types."""
    words = {"str": "string", "int": "integer", "bool": "boolean", "| null": ""}
    text = reason[:1].lower() + reason[1:]
    for python, json in words.items():
        text = re.sub(rf"(?<!\w){re.escape(python)}(?!\w)", json, text)
    return " ".join(text.split()).replace(" ,", ",")


def parse_query(query_string: bytes, kind: type[S], *, where: str) -> S:
    """Return the query (application/x-www-form-urlencoded) as `kind`. The first of repeated keys counts.

    A member whose type is a list takes all of them. Raises Invalid, which names the unfit parameter.
    """
    given = _split_query(query_string) if query_string else {}
    members: dict[str, Any] = {}
    for field, names in _named_fields_of(kind, where):
        value = _pick_parameter(given, field, names)
        if value is not None:
            members[field.name] = value
        elif field.required:
            raise ParameterMissing(field.name)
    return _convert(members, kind, "")


def _split_query(query_string: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            query_string.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=limits.query_fields_max,
        )
    except UnicodeDecodeError:
        raise QueryNotUtf8() from None
    except ValueError:
        raise QueryTooLong(limits.query_fields_max) from None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    return given


def _pick_parameter(given: Mapping[str, list[str]], field: _Field, names: tuple[str, ...]) -> Any:
    for name in names:
        values = given.get(name)
        if not values:
            continue
        if field.kind is list:
            return [value for value in values if value]
        text = values[0].strip() if field.trimmed else values[0]
        if field.kind in (str, bool) and not text:
            continue
        return _read_word(field, _check_branch(name, text))
    return None


def _check_branch(name: str, text: str) -> str:
    """Return `text`; raise Invalid when `name` is an old name for branches and `text` is another ref."""
    if isinstance(name, BranchMember) and text.startswith("refs/") and not text.startswith("refs/heads/"):
        raise BranchNameInvalid(text[:200])
    return text


def _read_word(field: _Field, text: str) -> Any:
    if field.kind is bool:
        if text.lower() not in _WORDS:
            raise ParameterNotABoolean(field=field.name, value=text[:80])
        return _WORDS[text.lower()]
    if field.kind is int:
        if not _NUMBER.fullmatch(text):
            raise ParameterNotANumber(field=field.name, value=text[:80])
        return int(text)
    return text


def page_limit(limit: int, *, default: int = limits.page_default, maximum: int = limits.page_max) -> int:
    """Return the number of items of a page: the default for 0, and at most the maximum.

    Raises Invalid for a negative number.
    """
    if limit < 0:
        raise LimitNegative(field="limit", value=limit)
    return min(limit or default, maximum)
