"""Names noted ahead of time are given out once, and only while they are fresh."""

import threading

import pytest

from packhouse.git.oid import hash_object
from packhouse.ids import RepoKey
from packhouse.limits import DEFAULT_LIMITS
from packhouse.node.pack_names import PackNames

pytestmark = pytest.mark.quick

REPO = RepoKey(1)
OTHER = RepoKey(2)
OIDS = [hash_object("blob", b"%d" % number) for number in range(20)]


def test_a_noted_name_is_taken_once() -> None:
    names = PackNames(DEFAULT_LIMITS)
    names.note(REPO, OIDS[0], now=100)
    assert names.take(OTHER, now=100) is None
    assert names.take(REPO, now=100) == OIDS[0]
    assert names.take(REPO, now=100) is None


def test_one_of_many_threads_gets_the_name() -> None:
    names = PackNames(DEFAULT_LIMITS)
    names.note(REPO, OIDS[0], now=100)
    taken: list[str | None] = []
    threads = [threading.Thread(target=lambda: taken.append(names.take(REPO, now=100))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 16
    assert [name for name in taken if name is not None] == [OIDS[0]]


def test_a_name_that_may_be_swept_soon_is_not_taken() -> None:
    names = PackNames(DEFAULT_LIMITS)
    age_max = DEFAULT_LIMITS.incoming_grace_s // 2
    for now, expected in ((100 + age_max, OIDS[0]), (101 + age_max, None), (99, None)):
        names.note(REPO, OIDS[0], now=100)
        assert names.take(REPO, now=now) == expected


def test_a_repository_is_warm_for_a_while_after_a_write_that_noted_no_name() -> None:
    names = PackNames(DEFAULT_LIMITS)
    assert not names.is_warm(REPO, now=100)
    names.note(REPO, None, now=100)
    assert names.is_warm(REPO, now=700)
    assert not names.is_warm(REPO, now=701)
    names.note(REPO, OIDS[0], now=100)
    assert not names.is_warm(REPO, now=100)
    names.take(REPO, now=100)
    assert names.is_warm(REPO, now=100)
