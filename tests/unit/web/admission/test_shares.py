"""Places are shared fairly among organisations and their repositories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.web.admission.shares import Holder, Shares

pytestmark = pytest.mark.quick

HERE, SAME_ORG, ELSEWHERE = (1, "a"), (1, "b"), (2, "a")
HOLDERS = st.tuples(st.integers(1, 3), st.sampled_from("ab"))


def take_all(shares: Shares, holder: Holder) -> int:
    """Take places for the holder while there is room; return how many."""
    count = 0
    while shares.has_room(holder):
        shares.take(holder)
        count += 1
    return count


@given(st.lists(HOLDERS, max_size=60), st.integers(1, 20))
def test_a_newcomer_finds_room_while_anything_is_free(asking: list[Holder], places: int) -> None:
    shares = Shares(places)
    for holder in asking:
        if shares.has_room(holder):
            shares.take(holder)
    assert shares.free >= 0
    assert shares.has_room((9, "new")) == (shares.free > 0)


def test_one_repository_gets_two_thirds_and_one_organisation_four_fifths() -> None:
    shares = Shares(300)
    assert take_all(shares, HERE) == 200
    shares = Shares(300)
    assert sum(take_all(shares, (1, str(number))) for number in range(100)) == 240
    assert shares.free == 60


def test_a_single_place_goes_to_the_first_holder() -> None:
    shares = Shares(1)
    assert take_all(shares, HERE) == 1
    assert not shares.has_room(ELSEWHERE)


def test_organisations_that_all_want_everything_get_about_the_same() -> None:
    shares = Shares(90)
    counts = dict.fromkeys(range(3), 0)
    took = True
    while took:
        took = False
        for org_id in counts:
            if shares.has_room((org_id, "a")):
                shares.take((org_id, "a"))
                counts[org_id] += 1
                took = True
    assert max(counts.values()) - min(counts.values()) <= 1
    assert shares.free > 0


def test_places_of_one_repository_count_for_the_others_of_its_organisation() -> None:
    shares = Shares(30)
    assert take_all(shares, HERE) == 20
    assert take_all(shares, SAME_ORG) < 20
    assert take_all(shares, ELSEWHERE) > 0


def test_a_place_given_back_may_be_taken_again() -> None:
    shares = Shares(3)
    assert take_all(shares, HERE) == 2
    shares.give_back(HERE)
    assert shares.free == 2
    assert take_all(shares, HERE) == 1


@given(st.lists(st.tuples(HOLDERS, st.booleans()), max_size=80), st.integers(1, 12))
def test_nothing_is_lost_when_everything_is_given_back(steps: list[tuple[Holder, bool]], places: int) -> None:
    """In any order: an empty table shares like a new one."""
    shares = Shares(places)
    held: list[Holder] = []
    for holder, gives_back in steps:
        if gives_back and held:
            shares.give_back(held.pop())
        elif shares.has_room(holder):
            shares.take(holder)
            held.append(holder)
        assert shares.free == places - len(held)
    for holder in held:
        shares.give_back(holder)
    assert take_all(shares, HERE) == take_all(Shares(places), HERE)
