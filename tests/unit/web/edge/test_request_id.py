"""Ids of requests: a valid id of the client, or else a new one."""

import re

import pytest

from packhouse import limits
from packhouse.web.edge.request_id import choose_request_id

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("given", [b"a", b"7f3c-22", b"!~", b"x" * limits.request_id_max_chars])
def test_an_id_of_the_client_is_kept_as_it_is(given: bytes) -> None:
    assert choose_request_id([(b"host", b"h"), (b"x-request-id", given)]) == given


@pytest.mark.parametrize(
    "given", [b"", b" ", b"a b", b"a\tb", b"caf\xe9", b"a\r\nb", b"x" * (limits.request_id_max_chars + 1)]
)
def test_any_other_id_is_replaced(given: bytes) -> None:
    assert re.fullmatch(rb"[0-9a-f]{32}", choose_request_id([(b"x-request-id", given)]))


def test_only_the_first_of_several_ids_counts() -> None:
    assert choose_request_id([(b"x-request-id", b"a"), (b"x-request-id", b"b")]) == b"a"
    assert choose_request_id([(b"x-request-id", b"a b"), (b"x-request-id", b"b")]) != b"b"


def test_new_ids_differ() -> None:
    assert len({choose_request_id([]) for _ in range(100)}) == 100
