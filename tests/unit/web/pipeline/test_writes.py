"""Prepared writes: in the queue of their branch, once for one key, and without leftovers of failed ones."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from starlette.responses import Response

from packhouse.auth.principal import Principal
from packhouse.errors import Invalid
from packhouse.git.refname import EPHEMERAL, PERSISTENT, branch_refname
from packhouse.operations.answers.keep_answer import KeepAnswer, keep_answer
from packhouse.operations.refs.branches import BranchKeptMoving
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.repository.refs.receipts import KeyTaken, Receipt
from packhouse.web.call import Call, Shared
from packhouse.web.caller import Caller
from packhouse.web.openapi.description import Description
from packhouse.web.pipeline.writes import KeyReused, answer_write
from packhouse.web.prepared_write import BranchWrite, PreparedWrite
from packhouse.web.reply import Reply
from packhouse.web.routing.match import Dialect, Match
from packhouse.web.routing.route import Route, of_repo, writing, writing_branch
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick

MAIN, DEV = branch_refname("main"), branch_refname("dev")
Operation = Callable[[Receipt[int] | None], int]


class Written(msgspec.Struct):
    """The reply of the writes of these tests."""

    number: int


@dataclass(slots=True)
class Writer:
    """Makes calls of one caller for repository `r`, and counts the writes."""

    shared: Shared
    principal: Principal
    prepared: int = 0
    discarded: int = 0
    receipts: list[Receipt[int] | None] = field(default_factory=list)

    def call(self, *pieces: bytes, key: str | None = None, target: str = "/", **values: str) -> Call:
        """Return a call with this body and key."""
        headers = {} if key is None else {"Idempotency-Key": key}
        wire = make_wire("POST", target, *pieces, headers=headers)
        call = Call(wire, self.shared, Match("write", "", Dialect.PREFERRED, {"repo": "r", **values}))
        call.authorised = Caller(self.principal, "r")
        return call

    def keeping(self, number: int) -> Operation:
        """Return an operation that writes once and keeps its answer, as operations do with a receipt."""

        def operation(receipt: Receipt[int] | None) -> int:
            self.receipts.append(receipt)
            if receipt is not None:
                answer = receipt.render(number)
                keep_answer(self.shared.node, self.principal, KeepAnswer("r", receipt.ticket, answer))
            return number

        return operation

    def discard(self) -> None:
        """Count a write whose preparation was removed."""
        self.discarded += 1

    def route(self, operation: Operation, *, status: int | None = None, reads_body: bool = False) -> Route:
        """Return a route whose handler prepares this operation."""

        async def handler(call: Call) -> PreparedWrite[Written]:
            self.prepared += 1
            if reads_body:
                await call.read_body(Written)
            return PreparedWrite(
                operation=operation,
                render=lambda number: Reply(Written(number), status),
                discard=self.discard,
            )

        return writing("write", of_repo("write"), handler, Description("Write", status=201))

    def branch_route(
        self, operation: Operation, *, refname: Any = MAIN, namespace: str = PERSISTENT
    ) -> Route:
        """Return such a route that writes to a branch."""

        async def handler(_call: Call) -> BranchWrite[Written]:
            self.prepared += 1
            return BranchWrite(
                operation=operation,
                render=Written,
                discard=self.discard,
                namespace=namespace,
                refname=refname,
            )

        return writing_branch("write", of_repo("write"), handler, Description("Write"))


@pytest.fixture
def writer(shared: Shared, memory_caller: Principal) -> Writer:
    """A caller with an empty repository."""
    create_repo(shared.node, memory_caller, CreateRepo("r"))
    return Writer(shared, memory_caller)


def answer(call: Call, route: Route) -> Response:
    return asyncio.run(answer_write(call, route))


def test_without_a_key_the_operation_gets_no_receipt(writer: Writer) -> None:
    response = answer(writer.call(), writer.route(writer.keeping(7)))
    assert (response.status_code, bytes(response.body)) == (201, b'{"number":7}')
    assert writer.receipts == [None]
    assert writer.discarded == 0


def test_a_repeat_gets_the_first_answer_and_nothing_is_prepared(writer: Writer) -> None:
    first = answer(writer.call(b"{}", key="k"), writer.route(writer.keeping(7)))
    again = answer(writer.call(b"{}", key="k"), writer.route(writer.keeping(8)))
    assert (again.status_code, bytes(again.body)) == (first.status_code, bytes(first.body))
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert writer.prepared == 1


def test_the_kept_answer_has_the_status_that_was_sent(writer: Writer) -> None:
    answer(writer.call(key="k"), writer.route(writer.keeping(7), status=202))
    assert answer(writer.call(key="k"), writer.route(writer.keeping(7))).status_code == 202


def test_requests_with_other_keys_write_again(writer: Writer) -> None:
    route = writer.route(writer.keeping(7))
    for key in ("a", "b", None, None):
        answer(writer.call(key=key), route)
    assert len(writer.receipts) == 4


@pytest.mark.parametrize(
    "other",
    [
        lambda writer: writer.call(b"{ }", key="k"),
        lambda writer: writer.call(b"{}", key="k", target="/?x=1"),
        lambda writer: writer.call(b"{}", key="k", tag="v1"),
    ],
)
def test_a_key_is_for_one_body_one_query_and_one_path(
    writer: Writer, other: Callable[[Writer], Call]
) -> None:
    answer(writer.call(b"{}", key="k"), writer.route(writer.keeping(7)))
    with pytest.raises(KeyReused):
        answer(other(writer), writer.route(writer.keeping(7)))
    assert writer.prepared == 1


def test_the_repository_may_be_named_by_the_path_or_by_the_token(writer: Writer) -> None:
    answer(writer.call(key="k"), writer.route(writer.keeping(7)))
    released = writer.call(key="k")
    released.match = Match("write", "", Dialect.RELEASED)
    assert "idempotency-replayed" in answer(released, writer.route(writer.keeping(8))).headers


def test_a_body_counts_whether_the_handler_reads_it_or_not(writer: Writer) -> None:
    body = b'{"number":1}'
    answer(writer.call(body, key="k"), writer.route(writer.keeping(7), reads_body=True))
    again = answer(writer.call(body[:3], body[3:], key="k"), writer.route(writer.keeping(7)))
    assert "idempotency-replayed" in again.headers


@pytest.mark.parametrize("key", ["", '"', "a, b"])
def test_a_bad_key_is_refused_before_anything_is_prepared(writer: Writer, key: str) -> None:
    with pytest.raises(Invalid):
        answer(writer.call(key=key), writer.route(writer.keeping(7)))
    assert writer.prepared == 0


def test_the_answer_of_an_operation_without_changes_is_kept_as_well(writer: Writer) -> None:
    answer(writer.call(key="k"), writer.route(lambda _receipt: 7))
    assert "idempotency-replayed" in answer(writer.call(key="k"), writer.route(lambda _receipt: 8)).headers


def test_a_failure_is_not_kept(writer: Writer) -> None:
    def fail(_receipt: Receipt[int] | None) -> int:
        raise BranchKeptMoving("main")

    with pytest.raises(BranchKeptMoving):
        answer(writer.call(key="k"), writer.route(fail))
    assert bytes(answer(writer.call(key="k"), writer.route(writer.keeping(7))).body) == b'{"number":7}'


def test_a_request_overtaken_by_its_repeat_gets_the_answer_of_the_repeat(writer: Writer) -> None:
    def overtaken(_receipt: Receipt[int] | None) -> int:
        asyncio.run(answer_write(writer.call(key="k"), writer.route(writer.keeping(7))))
        raise KeyTaken

    response = answer(writer.call(key="k"), writer.route(overtaken))
    assert (bytes(response.body), response.headers["idempotency-replayed"]) == (b'{"number":7}', "true")
    assert writer.discarded == 1


def test_a_taken_key_without_an_answer_yet_is_a_conflict(writer: Writer) -> None:
    def taken(_receipt: Receipt[int] | None) -> int:
        raise KeyTaken

    with pytest.raises(KeyTaken):
        answer(writer.call(key="k"), writer.route(taken))


@pytest.mark.parametrize("key", [None, "k"])
def test_prepared_objects_are_removed_when_the_write_fails(writer: Writer, key: str | None) -> None:
    def fail(_receipt: Receipt[int] | None) -> int:
        raise RuntimeError

    for route in (writer.route(fail), writer.branch_route(fail)):
        with pytest.raises(RuntimeError):
            answer(writer.call(key=key), route)
    assert writer.discarded == 2


class Gate:
    """An operation that begins, and goes on when the test lets it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, _receipt: Receipt[int] | None) -> int:
        """Wait in the worker thread."""
        self.begun.set()
        assert self.may_end.wait(30)
        return 1


async def begun(gate: Gate) -> None:
    """Return once the operation has begun."""
    await asyncio.get_running_loop().run_in_executor(None, gate.begun.wait, 30)


async def settle() -> None:
    """Let all tasks run until they wait for a thread."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_writers_of_one_branch_wait_for_each_other(writer: Writer) -> None:
    async def run() -> list[bool]:
        first, second = Gate(), Gate()
        one = asyncio.create_task(answer_write(writer.call(), writer.branch_route(first)))
        await begun(first)
        two = asyncio.create_task(answer_write(writer.call(), writer.branch_route(second)))
        await settle()
        seen = [second.begun.is_set()]
        first.may_end.set()
        second.may_end.set()
        await asyncio.gather(one, two)
        return [*seen, second.begun.is_set()]

    assert asyncio.run(run()) == [False, True]
    assert writer.prepared == 2


@pytest.mark.parametrize(
    "other",
    [
        lambda writer, gate: writer.branch_route(gate, refname=DEV),
        lambda writer, gate: writer.branch_route(gate, namespace=EPHEMERAL),
        lambda writer, gate: writer.route(gate),
    ],
)
def test_other_writes_do_not_wait(writer: Writer, other: Callable[[Writer, Gate], Route]) -> None:
    async def run() -> None:
        first, second = Gate(), Gate()
        second.may_end.set()
        one = asyncio.create_task(answer_write(writer.call(), writer.branch_route(first)))
        await begun(first)
        await answer_write(writer.call(), other(writer, second))
        first.may_end.set()
        await one

    asyncio.run(run())


def test_a_writer_that_is_cancelled_in_the_queue_leaves_nothing(writer: Writer) -> None:
    async def run() -> bool:
        first, second = Gate(), Gate()
        one = asyncio.create_task(answer_write(writer.call(), writer.branch_route(first)))
        await begun(first)
        two = asyncio.create_task(answer_write(writer.call(), writer.branch_route(second)))
        await settle()
        two.cancel()
        await asyncio.gather(two, return_exceptions=True)
        first.may_end.set()
        await one
        return second.begun.is_set()

    assert asyncio.run(run()) is False
    assert writer.discarded == 1
