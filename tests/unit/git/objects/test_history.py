"""The short ways to read a commit say what the long one says."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packhouse.git.objects.codec import parse_commit
from packhouse.git.objects.history import parse_links, parse_summary
from packhouse.git.oid import EMPTY_TREE_OID

pytestmark = pytest.mark.quick

DATES = st.one_of(
    st.integers(min_value=-(2**70), max_value=2**70).map(lambda number: b"%d" % number),
    st.binary(max_size=12).filter(lambda text: not set(text) & {0, 10}),
)


@given(DATES)
@example(b"253402300800")
@example(b"9223372036854775807")
@example(b"99999999999999999999")
@example(b"9" * 5000)
@example(b"00000000000000000005")
@example(b"-5")
@example(b"x> 7")
def test_the_short_ways_read_every_date_as_the_long_one_does(date: bytes) -> None:
    head = f"tree {EMPTY_TREE_OID}\n".encode()
    content = head + b"author A <a@x> %s +0000\ncommitter C <c@x> %s +0000\n\nm\n" % (date, date)
    commit = parse_commit(content)
    assert parse_links(content).committed_at == commit.committer.when
    assert parse_summary(content).authored_at == commit.author.when
