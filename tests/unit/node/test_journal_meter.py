"""How full the journal is: what is turned away, when a journal is flushed, and the counts."""

from dataclasses import replace

import pytest

from packhouse.db.journal import JournalSize
from packhouse.ids import RepoKey
from packhouse.limits import DEFAULT_LIMITS
from packhouse.node.journal_meter import JournalMeter

pytestmark = pytest.mark.quick

REPO, OTHER = RepoKey(1), RepoKey(2)
LIMITS = replace(DEFAULT_LIMITS, journal_rows_before_flush=4, journal_bytes_before_flush=1000)


@pytest.fixture
def meter() -> JournalMeter:
    return JournalMeter(LIMITS, size_max_bytes=10_000)


@pytest.mark.parametrize(
    ("size", "is_full"), [((3, 999), False), ((4, 10), True), ((1, 1000), True), ((0, 0), False)]
)
def test_a_journal_is_full_by_its_rows_or_by_its_bytes(
    meter: JournalMeter, size: tuple[int, int], *, is_full: bool
) -> None:
    assert meter.note_write(REPO, JournalSize(1, 10), journal=JournalSize(*size)) == is_full


def test_the_journal_takes_nothing_at_its_bound(meter: JournalMeter) -> None:
    meter.note_total(9999)
    assert meter.has_room(REPO)
    meter.note_write(OTHER, JournalSize(1, 1), journal=JournalSize(1, 1))
    assert not meter.has_room(REPO)
    meter.note_flush(OTHER, JournalSize(1, 1))
    assert meter.has_room(REPO)


def test_the_journal_must_be_relieved_above_half_of_its_bound(meter: JournalMeter) -> None:
    meter.note_total(5000)
    assert not meter.is_half_full
    meter.note_total(5001)
    assert meter.is_half_full


def test_one_repository_may_fill_its_journal_several_times_while_a_flush_is_under_way(
    meter: JournalMeter,
) -> None:
    meter.note_write(REPO, JournalSize(1, 1), journal=JournalSize(31, 31))
    assert meter.has_room(REPO)
    meter.note_write(REPO, JournalSize(1, 1), journal=JournalSize(32, 32))
    assert not meter.has_room(REPO)
    assert meter.has_room(OTHER)
    meter.note_flush(REPO, JournalSize(32, 32))
    assert meter.has_room(REPO)


def test_a_bound_of_zero_turns_the_journal_off() -> None:
    assert not JournalMeter(LIMITS, size_max_bytes=0).has_room(REPO)
    no_packs = replace(LIMITS, journal_pack_max_bytes=0)
    assert not JournalMeter(no_packs, size_max_bytes=10_000).has_room(REPO)


def test_everything_is_counted(meter: JournalMeter) -> None:
    meter.note_write(REPO, JournalSize(2, 300), journal=JournalSize(2, 300))
    meter.note_write(REPO, JournalSize(1, 50), journal=JournalSize(3, 350))
    meter.note_flush(REPO, JournalSize(3, 350))
    meter.note_total(10_000)
    assert not meter.has_room(REPO)
    counts = meter.counts
    assert (counts.rows_written, counts.bytes_written) == (3, 350)
    assert (counts.flushes, counts.rows_flushed, counts.bytes_flushed) == (1, 3, 350)
    assert counts.writes_without_room == 1


def test_the_total_never_falls_below_nothing(meter: JournalMeter) -> None:
    meter.note_flush(REPO, JournalSize(5, 500))
    assert meter.total_bytes == 0
