"""The rules for the address of an upstream."""

import pytest

from packhouse.repository.upstream.providers import host_fault, name_fault, owner_fault

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("owner", ["acme", "acme/team/sub", "~user", "größe", "a" * 255])
def test_an_owner_is_a_path_on_a_host(owner: str) -> None:
    assert owner_fault(owner) is None


@pytest.mark.parametrize(
    "owner", ["", "a//b", "/a", "a/", "..", "a/../b", ".", "a b", "a?b", "a#b", "a%2fb", "a@b", "a:b", "a\\b"]
)
def test_an_owner_that_means_something_else_in_an_address_is_refused(owner: str) -> None:
    assert owner_fault(owner) == "it is no path on a git host"


@pytest.mark.parametrize("owner", ["a" * 256, "ü" * 128, "a\u200b"])
def test_an_owner_that_is_too_long_or_unprintable_is_refused(owner: str) -> None:
    assert owner_fault(owner) == "it is too long or unprintable"


def test_a_name_is_an_owner_without_a_slash() -> None:
    assert name_fault("shop.git") is None
    assert name_fault("team/shop") == "it holds a slash"
    assert name_fault("..") == owner_fault("..")


@pytest.mark.parametrize("host", ["git.example.com", "localhost:8080", "[::1]", "[2001:db8::1]:65535", "h:1"])
def test_a_host_is_a_bare_name_with_an_optional_port(host: str) -> None:
    assert host_fault(host) is None


@pytest.mark.parametrize(
    "host", ["", "h:0", "h:65536", "h:", "https://h", "h/x", "u@h", "h:8080:1", "h h", "[::1"]
)
def test_another_host_is_refused(host: str) -> None:
    assert host_fault(host) is not None
