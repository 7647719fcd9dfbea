"""Outbound requests against real servers on the loopback address."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.config import parse_trusted_hosts
from packhouse.outbound.addresses import IpAddress
from packhouse.outbound.client import OutboundClient, OutboundFailed, Reply
from packhouse.outbound.destination import AddressRefused
from tests.support.servers.receiver import Receiver
from tests.support.servers.tls import TlsFiles, make_tls_files

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls_files(tmp_path_factory.mktemp("tls"))


def send(client: OutboundClient, url: str, timeout_s: float = 60) -> Reply:
    return client.request("POST", url, body=b"{}", timeout_s=timeout_s, answer_max_bytes=1024)


def trusting(*hosts: str, authorities: Path | None = None) -> OutboundClient:
    return OutboundClient(trusted_hosts=parse_trusted_hosts(",".join(hosts)), authorities=authorities)


def test_a_request_returns_status_and_the_start_of_the_answer() -> None:
    with Receiver(answer=lambda *_: 500) as receiver:
        client = trusting(receiver.host)
        reply = send(client, receiver.url)
        assert (reply.status, len(reply.body_start)) == (500, 1024)
        assert receiver.received[0].path == "/hook?from=test"
        assert receiver.received[0].header("host") == receiver.host.removeprefix("http://")
        client.close()


def test_redirects_are_answers_and_not_followed() -> None:
    with Receiver(answer=lambda *_: 302) as receiver:
        receiver.location = receiver.url
        client = trusting(receiver.host)
        assert send(client, receiver.url).status == 302
        assert len(receiver.received) == 1
        client.close()


def test_a_name_that_resolves_differently_later_is_connected_at_the_checked_address() -> None:
    answers = iter([[ipaddress.ip_address("127.0.0.1")], [ipaddress.ip_address("127.0.0.2")]])

    def resolver(_host: str, _port: int) -> list[IpAddress]:
        return next(answers)

    with Receiver() as receiver:
        port = receiver.host.rpartition(":")[2]
        client = OutboundClient(
            trusted_hosts=parse_trusted_hosts(f"http://rebind.test:{port}"), resolver=resolver
        )
        assert send(client, f"http://rebind.test:{port}/").status == 204
        assert next(answers) == [ipaddress.ip_address("127.0.0.2")], "it was resolved once"
        client.close()


def test_a_name_with_a_private_address_is_not_connected() -> None:
    client = OutboundClient(resolver=lambda _host, _port: [ipaddress.ip_address("127.0.0.1")])
    with pytest.raises(AddressRefused):
        send(client, "https://inside.test/")
    client.close()


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of a server that sends a byte of its headers every tenth of a second, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    ending = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            while not ending.wait(0.1):
                try:
                    connection.send(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    ending.set()
    thread.join()
    listener.close()


def test_a_server_that_sends_a_byte_now_and_then_is_left_at_the_deadline(dripping: str) -> None:
    client = trusting(dripping)
    with pytest.raises(OutboundFailed, match="timed out"):  # it would drip for ever
        send(client, dripping + "/", timeout_s=1)
    client.close()


@pytest.fixture
def breaking_off() -> Iterator[str]:
    """The address of a server that answers 200 and closes in the middle of the body."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as request:
                while request.readline() != b"\r\n":
                    pass
                request.read(len(b"{}"))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfine, bu")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_a_status_counts_even_if_the_body_breaks_off(breaking_off: str) -> None:
    client = trusting(breaking_off)
    reply = send(client, breaking_off + "/")
    assert (reply.status, reply.body_start) == (200, b"fine, bu")
    client.close()


def test_certificates_are_verified_for_the_name(tls: TlsFiles) -> None:
    server = _TlsServer(tls)
    port = server.port
    trusted = trusting(f"https://localhost:{port}", authorities=tls.ca)
    assert send(trusted, f"https://localhost:{port}/").status == 204
    trusted.close()
    unknown = trusting(f"https://localhost:{port}")
    with pytest.raises(OutboundFailed, match="certificate is not valid"):
        send(unknown, f"https://localhost:{port}/")
    unknown.close()
    server.close()


class _TlsServer:
    def __init__(self, tls: TlsFiles) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert, tls.key)
        self._receiver = Receiver()
        self._receiver.__enter__()
        server = self._receiver._server
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = int(server.server_address[1])

    def close(self) -> None:
        self._receiver.__exit__(None, None, None)
