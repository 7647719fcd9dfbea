"""Conditional and range requests for one representation (RFC 9110 sections 13 and 14)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from enum import Enum
from typing import Final

from starlette.datastructures import Headers

from packhouse.clock import clamp_timestamp
from packhouse.errors import Code, PackhouseError
from packhouse.git import Oid

_RANGE: Final = re.compile(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)
_ENTITY_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_DIGITS_MAX: Final = 30


class FilePreconditionFailed(PackhouseError):
    """If-Match or If-Unmodified-Since does not hold (RFC 9110 section 13)."""

    code = Code.FILE_PRECONDITION_FAILED
    blob: Oid


class RangeNotSatisfiable(PackhouseError):
    """No byte of the range exists. `size_bytes` is that of the file."""

    code = Code.RANGE_NOT_SATISFIABLE
    size_bytes: int


class Verdict(Enum):
    """The answer that the conditions of the request lead to."""

    SEND = 200
    SEND_PART = 206
    NOT_MODIFIED = 304
    PRECONDITION_FAILED = 412
    NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, and the bytes to send: from `first` up to `end`, which is not included."""

    verdict: Verdict
    first: int
    end: int


def format_http_date(time_s: int) -> str:
    """Return the time as an HTTP date (RFC 9110 section 5.6.7), such as `Wed, 21 Oct 2026 07:28:00 GMT`."""
    return format_datetime(datetime.fromtimestamp(clamp_timestamp(time_s), UTC), usegmt=True)


def decide(headers: Headers, *, entity_tag: str, modified_at: int | None, size_bytes: int) -> Decision:
    """Return the decision, in the order of evaluation of RFC 9110 section 13.2.2.

    `entity_tag` is the strong tag without quotes. `modified_at` is in seconds since 1970. Where it is None, conditions
    on the time do not hold back the whole file (sections 13.1.3 to 13.1.5). A range also counts for HEAD: its clients
    want the headers that a GET would bring.
    """
    whole = Decision(Verdict.SEND, 0, size_bytes)
    told_at = None if modified_at is None else clamp_timestamp(modified_at)  # as Last-Modified gives it
    if_match = headers.getlist("if-match")
    if if_match:
        if not _tag_listed(if_match, entity_tag, weak=False):
            return Decision(Verdict.PRECONDITION_FAILED, 0, 0)
    else:
        unmodified_since = _parse_date(headers.get("if-unmodified-since"))
        if unmodified_since is not None and told_at is not None and told_at > unmodified_since:
            return Decision(Verdict.PRECONDITION_FAILED, 0, 0)
    if_none_match = headers.getlist("if-none-match")
    if if_none_match:
        if _tag_listed(if_none_match, entity_tag, weak=True):
            return Decision(Verdict.NOT_MODIFIED, 0, 0)
    else:
        modified_since = _parse_date(headers.get("if-modified-since"))
        if modified_since is not None and told_at is not None and told_at <= modified_since:
            return Decision(Verdict.NOT_MODIFIED, 0, 0)
    if not _range_applies(headers.get("if-range"), entity_tag, told_at):
        return whole
    return _decide_range(headers.getlist("range"), size_bytes) or whole


def _decide_range(values: list[str], size_bytes: int) -> Decision | None:
    """Return the part asked for; None for a Range header that is absent, malformed or asks for several parts."""
    if len(values) != 1:
        return None
    match = _RANGE.fullmatch(values[0].strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(_read_position(match[2]), size_bytes)
        first, end = size_bytes - length, size_bytes
    else:
        first = _read_position(match[1])
        last = _read_position(match[2]) if match[2] else size_bytes - 1
        if match[2] and last < first:
            return None
        end = min(last + 1, size_bytes)
    if first >= end:
        return Decision(Verdict.NOT_SATISFIABLE, 0, 0)
    return Decision(Verdict.SEND_PART, first, end)


def _read_position(digits: str) -> int:
    """Return the number. Digits beyond Python's limit give a number that is beyond every file."""
    return int(digits) if len(digits) <= _DIGITS_MAX else 10**_DIGITS_MAX


def _range_applies(if_range: str | None, entity_tag: str, told_at: int | None) -> bool:
    """Tell whether If-Range lets Range count: same strong tag, or exactly the same date (section 13.1.5)."""
    if if_range is None:
        return True
    text = if_range.strip()
    if text.startswith(('"', "W/")):
        return text == f'"{entity_tag}"'
    return told_at is not None and _parse_date(text) == told_at


def _tag_listed(values: list[str], entity_tag: str, *, weak: bool) -> bool:
    """Tell whether `*` or the tag is listed; weak tags count only in a weak comparison (section 8.8.3.2)."""
    text = ", ".join(values)
    if text.strip() == "*":
        return True
    return any(tag == entity_tag and (weak or not is_weak) for is_weak, tag in _ENTITY_TAG.findall(text))


def _parse_date(text: str | None) -> int | None:
    """Return an HTTP date in seconds since 1970; None when absent or unreadable, which means ignored."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())
