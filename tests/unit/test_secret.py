"""A secret shows its text only to code that calls `reveal()`."""

import copy
import json
import pickle
from collections.abc import Callable

import pytest

from packhouse.secret import Secret

pytestmark = pytest.mark.quick

SECRET = Secret("sesame")


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{:>30}".format,
        lambda secret: f"{secret!r}{secret!s}{[secret]}",
    ],
)
def test_no_way_of_printing_shows_the_text(show: Callable[[Secret], str]) -> None:
    assert "sesame" not in show(SECRET)


def test_reveal_returns_the_text() -> None:
    assert SECRET.reveal() == "sesame"


def test_an_empty_secret_is_false() -> None:
    assert SECRET
    assert not Secret("")


@pytest.mark.parametrize("store", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_a_secret_cannot_be_serialised(store: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError):
        store(SECRET)


def test_an_error_while_a_secret_is_used_does_not_show_it() -> None:
    with pytest.raises(TypeError) as caught:
        SECRET + "x"  # type: ignore[operator]  # the mistake under test
    assert "sesame" not in str(caught.value)
