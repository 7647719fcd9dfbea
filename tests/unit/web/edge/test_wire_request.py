"""A request as it arrived: target, addresses, body, and connection."""

import asyncio

import pytest

from packhouse.web.edge.body import ClientGone
from packhouse.web.edge.wire_request import WireRequest
from tests.support.wire_requests import make_scope, make_wire, receive_of

pytestmark = pytest.mark.quick


def test_path_and_query_are_given_as_they_were_written() -> None:
    wire = make_wire("GET", "/api/repos/a%2Fb/tags?limit=1&cursor=%20x")
    assert (wire.raw_path, wire.query_string) == (b"/api/repos/a%2Fb/tags", b"limit=1&cursor=%20x")


@pytest.mark.parametrize("host", ["git.example.com", "git.example.com:8443", "[2001:db8::1]:80", "localhost"])
def test_the_address_is_the_one_that_the_client_called(host: str) -> None:
    assert make_wire("GET", "/", headers={"Host": host}).base_address == f"http://{host}"


@pytest.mark.parametrize("host", ["", "a b", "evil.example/path", "user@host", "h:123456", "h\x7f"])
def test_an_invalid_host_is_replaced_by_the_servers_own_address(host: str) -> None:
    assert make_wire("GET", "/", headers={"Host": host}).base_address == "http://127.0.0.1:8080"


def test_a_server_without_an_address_calls_itself_localhost() -> None:
    scope = make_scope("GET", "/", server=None, scheme="https")
    assert WireRequest(scope, receive_of(), stall_max_s=1).base_address == "https://localhost"


def test_a_socket_file_has_no_port() -> None:
    scope = make_scope("GET", "/", server=("/run/packhouse.sock", None))
    assert WireRequest(scope, receive_of(), stall_max_s=1).base_address == "http:///run/packhouse.sock"


def test_the_other_end_of_the_connection_may_be_unknown() -> None:
    assert make_wire("GET", "/").client_host == "192.0.2.7"
    scope = make_scope("GET", "/", client=None)
    assert WireRequest(scope, receive_of(), stall_max_s=1).client_host == ""


def test_nothing_is_known_of_a_connection_that_the_server_does_not_describe() -> None:
    wire = make_wire("GET", "/")
    assert (wire.has_left(), wire.is_ending(), wire.cut_connection) == (False, False, None)


def test_the_server_is_asked_each_time() -> None:
    answers = iter([False, True])
    wire = make_wire("GET", "/", has_left=lambda: next(answers), is_ending=lambda: True)
    assert [wire.has_left(), wire.has_left()] == [False, True]
    assert wire.is_ending()


def test_the_connection_can_be_cut() -> None:
    cuts: list[str] = []
    cut = make_wire("GET", "/", cut_connection=lambda: cuts.append("cut")).cut_connection
    assert cut is not None
    cut()
    assert cuts == ["cut"]


def test_work_may_begin_for_a_client_that_is_still_connected() -> None:
    asyncio.run(make_wire("GET", "/", has_left=lambda: False).require_client())


def test_no_work_begins_for_a_client_that_has_left_and_its_body_is_drained() -> None:
    async def leave() -> str:
        wire = make_wire("POST", "/", b"abc", b"def", has_left=lambda: True)
        with pytest.raises(ClientGone):
            await wire.require_client()
        return str((await wire.receive())["type"])

    assert asyncio.run(leave()) == "http.disconnect"


def test_the_body_comes_in_the_pieces_in_which_it_was_sent() -> None:
    async def read() -> list[bytes]:
        wire = make_wire("POST", "/", b"abc", b"def")
        pieces = []
        while piece := await wire.upload.read():
            pieces.append(piece)
        assert wire.upload.complete
        return pieces

    assert asyncio.run(read()) == [b"abc", b"def"]
