"""A call: how it reads its request, and how it runs operations."""

import asyncio
import json
import threading
from dataclasses import replace

import msgspec
import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.errors import FieldInvalid
from packhouse.git.refname import PERSISTENT, branch_refname
from packhouse.node.node import Node
from packhouse.repository.refs.receipts import Receipt
from packhouse.web.call import Call, Shared
from packhouse.web.caller import Caller
from packhouse.web.edge.body import BodyTooLarge
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.prepared_write import BranchWrite
from packhouse.web.routing.match import Dialect, Match
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick


class Asked(msgspec.Struct):
    """The members that the calls of these tests read."""

    ref: str | None = None
    limit: int = 0


def make_call(shared: Shared, wire: WireRequest, operation: str = "list_commits", **values: str) -> Call:
    return Call(wire, shared, Match(operation, "", Dialect.PREFERRED, values))


def test_the_query_is_read_under_the_old_names_of_the_operation_too(shared: Shared) -> None:
    wire = make_wire("GET", "/?branch=main&limit=3&other=x")
    assert make_call(shared, wire).read_query(Asked) == Asked("main", 3)
    assert make_call(shared, wire, "get_commit").read_query(Asked) == Asked(None, 3)


def test_an_empty_body_is_an_object_without_members(shared: Shared) -> None:
    for pieces in ((), (b" \n",), (b"{}",)):
        assert asyncio.run(make_call(shared, make_wire("POST", "/", *pieces)).read_body(Asked)) == Asked()


def test_a_body_is_read_in_pieces_and_under_old_names(shared: Shared) -> None:
    wire = make_wire("POST", "/", b'{"bran', b'ch": "main", "unknown": {"x": 1}}')
    assert asyncio.run(make_call(shared, wire).read_body(Asked)) == Asked("main")


def test_members_are_given_under_the_names_they_came_with(shared: Shared) -> None:
    call = make_call(shared, make_wire("POST", "/", b'{"branch": "main", "unknown": 1}'))
    assert asyncio.run(call.read_members(Asked)) == {"branch": "main"}


def test_a_large_body_is_decoded_in_a_worker_thread_with_the_same_result(shared: Shared) -> None:
    text = json.dumps({"unknown": "x" * 300 * limits.KIB, "ref": "main"}).encode()
    call = make_call(shared, make_wire("POST", "/", text))
    assert asyncio.run(call.read_body(Asked)) == Asked("main")


def test_a_body_beyond_the_bound_of_the_call_is_refused(shared: Shared) -> None:
    call = make_call(shared, make_wire("POST", "/", b'{"ref": "main"}'))
    with pytest.raises(BodyTooLarge):
        asyncio.run(call.read_body(Asked, max_bytes=10))


def test_a_member_of_another_type_is_named(shared: Shared) -> None:
    call = make_call(shared, make_wire("POST", "/", b'{"limit": "x"}'))
    with pytest.raises(FieldInvalid) as refused:
        asyncio.run(call.read_body(Asked))
    assert refused.value.field == "limit"


def test_an_operation_runs_in_a_worker_thread_for_the_caller(
    shared: Shared, memory_caller: Principal
) -> None:
    def operation(node: Node, principal: Principal, word: str) -> tuple[Node, Principal, str, bool]:
        return node, principal, word, threading.current_thread() is threading.main_thread()

    call = make_call(shared, make_wire("GET", "/"))
    call.authorised = Caller(memory_caller, "r")
    expected = (shared.node, memory_caller, "x", False)
    assert asyncio.run(call.operate(operation, "x")) == expected
    assert asyncio.run(call.search(operation, "x")) == expected


def test_a_call_that_nobody_authorised_has_no_caller(shared: Shared) -> None:
    with pytest.raises(AssertionError):
        _ = make_call(shared, make_wire("GET", "/")).caller


def test_a_prepared_write_is_bound_to_the_caller_and_has_not_begun(
    shared: Shared, memory_caller: Principal
) -> None:
    seen: list[object] = []

    def verb(node: Node, caller: Principal, command: str, /, *, receipt: Receipt[str] | None) -> str:
        seen.extend([node, caller, command, receipt])
        return command.upper()

    call = make_call(shared, make_wire("POST", "/"))
    call.authorised = Caller(memory_caller, "r")
    main = branch_refname("main")
    write: BranchWrite[Asked] = call.prepare_branch_write(
        verb, "dev", Asked, namespace=PERSISTENT, refname=main
    )
    assert seen == []
    assert write.render(write.operation(None)) == Asked("DEV")
    assert seen == [shared.node, memory_caller, "dev", None]
    assert (write.namespace, write.refname) == (PERSISTENT, main)
    plain = call.prepare_write(verb, "dev", Asked)
    assert plain.render(plain.operation(None)) == Asked("DEV")


@pytest.mark.parametrize(
    ("public_url", "address"),
    [
        ("", "http://git.test/a/b%20c+ephemeral.git"),
        ("https://code.example/git/", "https://code.example/git/a/b%20c+ephemeral.git"),
    ],
)
def test_the_address_to_clone_from_is_the_public_one_or_the_one_that_was_called(
    shared: Shared, public_url: str, address: str
) -> None:
    shared.node.config = replace(shared.node.config, public_url=public_url)
    call = make_call(shared, make_wire("GET", "/", headers={"Host": "git.test"}))
    assert call.clone_address("a/b c+ephemeral") == address
