"""A reply with long lists in pieces: together they are the reply as a whole, and no item is made early."""

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from packhouse.web.json.pieces import iter_pieces

pytestmark = pytest.mark.quick


class Item(msgspec.Struct):
    """An item of a list."""

    text: str


class Answer(msgspec.Struct, kw_only=True):
    """A reply that ends in two lists."""

    name: str
    tip: str | UnsetType = UNSET
    files: list[Item]
    others: list[Item]


ITEMS = st.lists(st.builds(Item, st.text(max_size=20)), max_size=6)


@given(name=st.text(max_size=5), files=ITEMS, others=ITEMS, piece_bytes=st.integers(1, 100))
def test_the_pieces_are_the_reply_as_a_whole(
    name: str, files: list[Item], others: list[Item], piece_bytes: int
) -> None:
    head = Answer(name=name, files=[], others=[])
    pieces = list(iter_pieces(head, {"files": files, "others": others}, piece_bytes=piece_bytes))
    assert b"".join(pieces) == msgspec.json.encode(Answer(name=name, files=files, others=others))
    assert all(len(piece) >= piece_bytes for piece in pieces[:-1])
    assert pieces[-1]


def test_an_item_is_made_when_its_piece_is_asked_for() -> None:
    made: list[int] = []

    def items() -> Iterator[Item]:
        for number in range(10):
            made.append(number)
            yield Item("x" * 100)

    pieces = iter_pieces(
        Answer(name="a", files=[], others=[]), {"files": items(), "others": []}, piece_bytes=150
    )
    assert made == []
    next(pieces)
    assert len(made) < 3


def test_a_reply_may_consist_of_its_list_alone() -> None:
    class Listing(msgspec.Struct):
        files: list[Item]

    pieces = iter_pieces(Listing([]), {"files": [Item("a"), Item("b")]}, piece_bytes=1000)
    assert list(pieces) == [b'{"files":[{"text":"a"},{"text":"b"}]}']


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (Answer(name="a", files=[Item("x")], others=[]), ("files", "others")),
        (Answer(name="a", files=[], others=[]), ("others", "files")),
        (Answer(name="a", files=[], others=[]), ("files",)),
    ],
)
def test_lists_that_are_filled_or_not_the_last_members_are_a_bug(
    head: Answer, names: tuple[str, ...]
) -> None:
    with pytest.raises(AssertionError, match="last members"):
        list(iter_pieces(head, {name: [] for name in names}, piece_bytes=10))
