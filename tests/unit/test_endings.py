"""Things that a `with` block ends, in whichever way it is left."""

import pytest

from packhouse.endings import Closing, Discarding

pytestmark = pytest.mark.quick


class Opened(Closing):
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Kept(Discarding):
    def __init__(self) -> None:
        self.discarded = 0

    def discard(self) -> None:
        self.discarded += 1


def test_the_block_gets_the_thing_itself_and_ends_it_once() -> None:
    opened, kept = Opened(), Kept()
    with opened as in_block, kept as also_in_block:
        assert in_block is opened
        assert also_in_block is kept
        assert (opened.closed, kept.discarded) == (0, 0)
    assert (opened.closed, kept.discarded) == (1, 1)


def test_an_error_ends_the_thing_and_is_raised_further() -> None:
    opened, kept = Opened(), Kept()
    with pytest.raises(KeyError), opened, kept:
        raise KeyError
    assert (opened.closed, kept.discarded) == (1, 1)


def test_a_thing_without_an_ending_cannot_be_made() -> None:
    class Endless(Closing):
        pass

    with pytest.raises(TypeError, match="abstract method"):
        Endless()  # type: ignore[abstract]  # the mistake under test
