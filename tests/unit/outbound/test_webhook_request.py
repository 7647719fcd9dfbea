"""What a receiver of webhooks gets, and what its status means."""

import hashlib
import hmac

import pytest

from packhouse.outbound.webhook_request import is_accepted, is_gone, sign_webhook, webhook_headers
from packhouse.secret import Secret

pytestmark = pytest.mark.quick


def test_a_signature_is_an_hmac_of_the_time_and_the_body() -> None:
    digest = hmac.new(b"s\xc3\xa9cret", b'5.{"a": 1}', hashlib.sha256).hexdigest()
    assert sign_webhook(Secret("sécret"), at=5, body=b'{"a": 1}') == f"t=5,sha256={digest}"


@pytest.mark.parametrize(("secret", "at", "body"), [("b", 5, b"x"), ("a", 6, b"x"), ("a", 5, b"y")])
def test_another_secret_time_or_body_has_another_signature(secret: str, at: int, body: bytes) -> None:
    digest = sign_webhook(Secret("a"), at=5, body=b"x").partition(",")[2]
    assert sign_webhook(Secret(secret), at=at, body=body).partition(",")[2] != digest


def test_the_headers_name_the_event_the_delivery_and_its_signature() -> None:
    assert webhook_headers("push", delivery_id="whd_1", signature="t=5,sha256=ff") == {
        "Content-Type": "application/json",
        "User-Agent": "Pierre-Webhook/1.0",
        "X-Pierre-Event": "push",
        "X-Pierre-Signature": "t=5,sha256=ff",
        "X-Pierre-Delivery": "whd_1",
    }


@pytest.mark.parametrize(
    ("status", "accepted", "gone"),
    [
        (200, True, False),
        (204, True, False),
        (299, True, False),
        (199, False, False),
        (302, False, False),
        (404, False, False),
        (410, False, True),
        (500, False, False),
    ],
)
def test_a_receiver_accepts_an_event_with_any_2xx_and_leaves_with_410(
    status: int, *, accepted: bool, gone: bool
) -> None:
    assert (is_accepted(status), is_gone(status)) == (accepted, gone)
