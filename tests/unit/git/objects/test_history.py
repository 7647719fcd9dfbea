"""The short ways to read a commit say what the long one says."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packhouse.errors import Corrupt
from packhouse.git.objects.codec import parse_commit
from packhouse.git.objects.history import parse_links, parse_summary
from packhouse.git.oid import EMPTY_TREE_OID

pytestmark = pytest.mark.quick

DATES = st.one_of(
    st.integers(min_value=-(2**70), max_value=2**70).map(lambda number: b"%d" % number),
    st.binary(max_size=12).filter(lambda text: not set(text) & {0, 10}),
)
HEAD = f"tree {EMPTY_TREE_OID}\n".encode()


@given(DATES)
@example(b"253402300800")
@example(b"9223372036854775807")
@example(b"99999999999999999999")
@example(b"9" * 5000)
@example(b"00000000000000000005")
@example(b"-5")
@example(b"x> 7")
def test_the_fast_parsers_read_every_date_like_parse_commit(date: bytes) -> None:
    content = HEAD + b"author A <a@x> %s +0000\ncommitter C <c@x> %s +0000\n\nm\n" % (date, date)
    commit = parse_commit(content)
    assert parse_links(content).committed_at == commit.committer.when
    assert parse_summary(content).authored_at == commit.author.when


HEADERS = st.sampled_from(
    [
        b"encoding ISO-8859-1\n",
        b"gpgsig -----BEGIN\n author x\n committer y\n -----END\n",
        b"mergetag object 1\n tree 2\n",
        b"HG:extra author: no\n",
        b"",
    ]
)


@given(st.integers(0, 3), HEADERS, st.binary(max_size=30))
def test_the_fast_parsers_read_everything_like_parse_commit(
    parents: int, header: bytes, message: bytes
) -> None:
    lines = b"".join(b"parent %040x\n" % number for number in range(parents))
    content = (
        HEAD + lines + b"author \xc9a <a@x> 5 +0100\ncommitter C <c@x> 6 -0230\n" + header + b"\n" + message
    )
    commit, links, summary = parse_commit(content), parse_links(content), parse_summary(content)
    assert (links.tree, list(links.parents)) == (commit.tree, list(commit.parents))
    assert (summary.author, summary.message.rstrip("\n")) == (commit.author.name, commit.message.rstrip("\n"))


def test_a_commit_without_a_committer_has_no_date() -> None:
    assert parse_links(HEAD + b"author A <a@x> 5 +0000\n\ncommitter C <c@x> 9 +0000\n").committed_at == 0


@pytest.mark.parametrize("content", [b"", b"tree x\n", b"blob", b"parent " + b"a" * 40 + b"\n"])
def test_bytes_that_are_not_a_commit_are_corrupt(content: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_links(content)
