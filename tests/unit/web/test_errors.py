"""What users read about a failure, and what they never see of it."""

import asyncio
import errno
import string
from collections.abc import Callable, Coroutine

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.auth.policy import PolicyDenied
from packhouse.auth.sealing import SecretKeyMissing
from packhouse.db.session import DatabaseAway
from packhouse.errors import (
    Conflict,
    Corrupt,
    Denied,
    Invalid,
    LimitExceeded,
    NotFound,
    PackhouseError,
    PreconditionFailed,
    TimedOut,
    Unauthenticated,
    Unavailable,
)
from packhouse.git.refname import branch_refname
from packhouse.limits import Limits
from packhouse.web.admission.branch_queue import BranchQueue
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.threads import WorkerThreads
from packhouse.web.admission.transfers import Transfers
from packhouse.web.errors import SENTENCE_MAX_CHARS, SENTENCES, describe_failure, write_sentence

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        (Invalid, 400, "invalid"),
        (Unauthenticated, 401, "unauthorized"),
        (Denied, 403, "forbidden"),
        (NotFound, 404, "not_found"),
        (Conflict, 409, "conflict"),
        (PreconditionFailed, 409, "precondition_failed"),
        (LimitExceeded, 413, "invalid"),
        (Unavailable, 503, "unavailable"),
        (TimedOut, 504, "timeout"),
    ],
)
def test_each_family_has_its_status_also_for_its_subclasses(
    kind: type[PackhouseError], status: int, word: str
) -> None:
    special = type("Special", (kind,), {})
    for error in (kind("what happened"), special("what happened")):
        failure = describe_failure(error)
        assert (failure.status, failure.result_status) == (status, word)
        assert failure.sentence == "what happened"


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), Corrupt("secret"), PackhouseError("secret"), KeyError("x")]
)
def test_faults_of_the_server_tell_nothing_of_its_inside(error: Exception) -> None:
    failure = describe_failure(error)
    assert failure.status == 500
    assert "secret" not in failure.sentence
    assert failure.fields == {}


def test_a_full_disk_is_trouble_that_may_pass() -> None:
    failure = describe_failure(OSError(errno.ENOSPC, "No space left on device", "/srv/data/x"))
    assert (failure.status, "/srv" in failure.sentence) == (503, False)
    assert describe_failure(OSError(errno.ENOENT, "gone", "/srv/data/x")).status == 500


def test_sentences_name_the_values() -> None:
    denied = PolicyDenied(branch_refname("main"), "no-push")
    assert write_sentence(denied) == "denied by policy: no-push (refs/heads/main)"
    assert (
        write_sentence(Invalid("odd thing", value="a\nb", other=None))
        == "odd thing (value a\ufffdb, other nothing)"
    )
    assert write_sentence(NotFound("branch does not exist")) == "branch does not exist"


def test_sentences_are_one_bounded_line() -> None:
    for value in ("x" * 10_000, "a\r\nb\u2028c\x85", b"\xff\n" * 1000, ["a", "b\n"], {"k": "v\n"}, "\ud800"):
        text = write_sentence(Invalid("field does not fit", field=value, reason=value))
        assert len(text) <= SENTENCE_MAX_CHARS
        assert len(text.splitlines()) == 1
        text.encode("utf-8")


@given(st.text(st.characters(codec=None, categories=None, max_codepoint=0x2100), max_size=20))
def test_values_with_braces_or_anything_else_do_no_harm(value: str) -> None:
    fields = {name for _, name, _, _ in string.Formatter().parse(SENTENCES["invalid branch name"]) if name}
    sentence = write_sentence(Invalid("invalid branch name", **dict.fromkeys(fields, value)))
    assert sentence.startswith("invalid branch name ")


def test_what_a_database_driver_says_is_for_operators_only() -> None:
    away = DatabaseAway("connection to 10.0.0.7 refused")
    assert "10.0.0.7" in str(away)
    assert describe_failure(away).sentence == "database not available"
    assert "packhouse.db" not in describe_failure(Corrupt("damaged", reason="packhouse.db")).sentence


_FULL = Limits(git_queue_max=0)


async def _refuse_search() -> None:
    async with Limiter(1, parked_max=0, work="searches", limits=_FULL).slot((1, "a")):
        raise AssertionError


async def _refuse_transfer() -> None:
    async with Transfers(1, _FULL).reads.slot((1, "a")):
        raise AssertionError


async def _refuse_call() -> None:
    await WorkerThreads(1, waiting_max=-1).run(int)


async def _refuse_write() -> None:
    queue = BranchQueue()
    async with queue.wait("key", branch="main", wait_max_s=1), queue.wait("key", branch="main", wait_max_s=0):
        raise AssertionError


@pytest.mark.parametrize(
    ("refuse", "status", "sentence"),
    [
        (_refuse_search, 503, "server is busy with other searches, please retry later"),
        (_refuse_transfer, 503, "server is busy with other transfers, please retry later"),
        (_refuse_call, 503, "server is busy with other calls, please retry later"),
        (_refuse_write, 409, "branch main is busy with other writes, please retry"),
    ],
)
def test_a_refusal_names_what_the_server_is_busy_with(
    refuse: Callable[[], Coroutine[None, None, None]],
    status: int,
    sentence: str,
) -> None:
    with pytest.raises(PackhouseError) as refused:
        asyncio.run(refuse())
    failure = describe_failure(refused.value)
    assert (failure.status, failure.sentence) == (status, sentence)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("new objects cannot be taken", reason="secret"),
        Unavailable("source pack is gone", pack="secret"),
        Unavailable("git cannot be started", reason="secret"),
        Unavailable("pack idx cannot be rebuilt", pack="secret", reason="secret"),
        SecretKeyMissing("/secret"),
    ],
)
def test_what_is_away_is_told_without_the_place(error: PackhouseError) -> None:
    failure = describe_failure(error)
    assert failure.status == 503
    assert "secret" not in failure.sentence.replace("stored secrets", "")
