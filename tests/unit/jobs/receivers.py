"""The receivers of webhooks, without a network: each request waits for its answer from the test."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from packhouse.outbound.client import OutboundClient, OutboundFailed, Reply


@dataclass
class Request:
    """One request of a sender. `push` is the number of the push that it is about; `answer` answers it."""

    host: str
    delivery_id: str
    push: int
    _answered: threading.Event = field(default_factory=threading.Event)
    _status: int | None = None

    def answer(self, status: int | None = 204) -> None:
        """Answer with a status; None is a connection that breaks."""
        self._status = status
        self._answered.set()

    def wait_for_answer(self) -> Reply:
        assert self._answered.wait(60), "the test has not answered"
        if self._status is None:
            raise OutboundFailed("connection broke")
        return Reply(self._status, {}, b"")


class Receivers(OutboundClient):
    """All receivers. A request waits for the test's answer, or gets `status` at once when that is set."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.status: int | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float,
        answer_max_bytes: int,
    ) -> Reply:
        assert headers is not None
        request = Request(
            self.parse(url).host, headers["X-Pierre-Delivery"], int(json.loads(body)["after"], 16)
        )
        if self.status is not None:
            request.answer(self.status)
        self.requests.append(request)
        return request.wait_for_answer()

    def under_way(self) -> list[Request]:
        return [request for request in self.requests if not request._answered.is_set()]

    def answer_all(self, status: int | None = 204) -> None:
        for request in self.under_way():
            request.answer(status)
