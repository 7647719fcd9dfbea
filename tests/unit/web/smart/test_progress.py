"""What a client is told while it waits: text as it comes, signs of life, and nothing after the end."""

import asyncio

import pytest

from packhouse import limits
from packhouse.web.smart.progress import Progress
from tests.support.event_loop import cancelled, in_event_loop, let_pass, settle

pytestmark = pytest.mark.quick

MAX_BYTES = limits.git_messages_max_bytes


class Watched:
    """Takes all that a progress yields while some work is done; `got` has it."""

    def __init__(self, progress: Progress) -> None:
        self.work: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.got: list[bytes] = []
        self.task = asyncio.ensure_future(self._watch(progress))

    async def _watch(self, progress: Progress) -> None:
        async for text in progress.iter_while(self.work):
            self.got.append(text)


@in_event_loop
async def test_text_is_passed_on_as_it_comes() -> None:
    progress = Progress()
    watched = Watched(progress)
    for text in (b"one", b"two"):
        progress.put(text)
        await settle()
        assert watched.got[-1] == text
    watched.work.set_result(b"report")
    await watched.task
    assert watched.got == [b"one", b"two"]


@in_event_loop
async def test_text_from_before_anybody_listens_is_passed_on_at_once() -> None:
    progress = Progress()
    progress.put(b"one ")
    progress.put(b"two")
    watched = Watched(progress)
    await settle()
    assert watched.got == [b"one two"]
    assert await cancelled(watched.task)


@in_event_loop
async def test_text_of_the_last_step_of_the_work_is_passed_on_before_the_end() -> None:
    progress = Progress()
    watched = Watched(progress)
    await settle()
    progress.put(b"last words")
    watched.work.set_result(b"report")
    await watched.task
    assert watched.got == [b"last words"]


@in_event_loop
async def test_work_that_ended_before_anybody_listened_leaves_its_text() -> None:
    progress = Progress()
    progress.put(b"text")
    watched = Watched(progress)
    watched.work.set_result(b"report")
    await watched.task
    assert watched.got == [b"text"]


@in_event_loop
async def test_without_text_only_the_end_is_passed_on() -> None:
    watched = Watched(Progress())
    watched.work.set_result(b"report")
    await watched.task
    assert watched.got == []


@in_event_loop
async def test_a_keep_alive_comes_after_every_five_seconds_without_text() -> None:
    progress = Progress()
    watched = Watched(progress)
    await settle()
    for count in range(1, 4):
        await let_pass(limits.git_keepalive_s - 0.5)
        assert watched.got == [b""] * (count - 1)
        await let_pass(1)
        assert watched.got == [b""] * count
    await let_pass(limits.git_keepalive_s - 0.5)
    progress.put(b"text")
    await settle()
    await let_pass(limits.git_keepalive_s - 0.5)
    assert watched.got == [b"", b"", b"", b"text"]
    watched.work.set_result(b"report")
    await watched.task


@pytest.mark.parametrize("failed", [False, True])
@in_event_loop
async def test_failing_work_ends_the_progress_as_well(failed: bool) -> None:
    watched = Watched(Progress())
    await settle()
    if failed:
        watched.work.set_exception(ConnectionError())
    else:
        watched.work.cancel()
    await watched.task
    assert watched.got == []
    if failed:
        assert isinstance(watched.work.exception(), ConnectionError)


@in_event_loop
async def test_lines_in_the_middle_of_text_beyond_the_bound_are_dropped() -> None:
    progress = Progress()
    lines = [b"line %d\n" % number for number in range(MAX_BYTES // 5)]
    for line in lines:
        progress.put(line)
    progress.put(b"fatal: the cause\n")
    watched = Watched(progress)
    await settle()
    (told,) = watched.got
    assert MAX_BYTES * 0.9 < len(told) <= MAX_BYTES
    kept = told.splitlines(keepends=True)
    assert kept[-1] == b"fatal: the cause\n"
    gap = next(at for at, line in enumerate(kept) if line != lines[at])
    assert len(b"".join(kept[:gap])) > MAX_BYTES * 0.4
    assert kept[gap:-1] == lines[gap - len(kept) + 1 :], "whole lines, and all of them up to the end"
    progress.put(b"more")
    watched.work.set_result(b"report")
    await watched.task
    assert watched.got[1:] == [b"more"], "what was told makes room"


@in_event_loop
async def test_text_of_exactly_the_bound_is_sent_whole() -> None:
    progress = Progress()
    progress.put(b"a\n" * (MAX_BYTES // 2 - 1))
    progress.put(b"z\n")
    watched = Watched(progress)
    await settle()
    assert watched.got == [b"a\n" * (MAX_BYTES // 2 - 1) + b"z\n"]
    assert await cancelled(watched.task)


@pytest.mark.parametrize("piece_bytes", [1000, 2 * MAX_BYTES])
@in_event_loop
async def test_a_line_beyond_the_bound_is_cut_in_its_middle(piece_bytes: int) -> None:
    text = b"start" + b"." * 3 * MAX_BYTES + b"end"
    progress = Progress()
    for at in range(0, len(text), piece_bytes):
        progress.put(text[at : at + piece_bytes])
    watched = Watched(progress)
    await settle()
    (told,) = watched.got
    assert len(told) <= MAX_BYTES
    assert told.startswith(b"start.") and told.endswith(b".end")
    assert await cancelled(watched.task)


@in_event_loop
async def test_empty_text_does_not_count_as_a_keep_alive() -> None:
    progress = Progress()
    watched = Watched(progress)
    progress.put(b"")
    await settle()
    assert watched.got == []
    assert await cancelled(watched.task)
