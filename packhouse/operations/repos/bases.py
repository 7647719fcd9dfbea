"""The base of a new repository: another repository of this server, or an upstream to follow."""

import re
from dataclasses import dataclass
from typing import Final

from packhouse.git import Oid
from packhouse.git.objects import Person
from packhouse.repository import DEFAULT_HOSTS, GITHUB

_SEGMENT_MAX_BYTES: Final = 255
_HOST: Final = re.compile(
    r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
)
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f\\?#%@:]")


@dataclass(frozen=True, slots=True)
class ForkBase:
    """The repository to fork, and the token that opens it. `oid` or `ref` limits the fork; `oid` wins over `ref`."""

    repo: str
    token: str
    ref: str | None = None
    oid: Oid | None = None


@dataclass(frozen=True, slots=True)
class SnapshotBase:
    """The repository whose tree at `ref` becomes the first commit, with that commit's message and author."""

    repo: str
    token: str
    ref: str | None
    message: bytes
    author: Person


@dataclass(frozen=True, slots=True)
class UpstreamBase:
    """The remote to follow. `host` is "" for the provider's usual host. `is_public`: never authenticate or push.

    Check its parts with the functions below before you make one.
    """

    provider: str
    owner: str
    name: str
    host: str = ""
    is_public: bool = False

    def __post_init__(self) -> None:
        assert self.provider in DEFAULT_HOSTS, self.provider
        assert owner_fault(self.owner) is None and name_fault(self.name) is None, (self.owner, self.name)
        if self.host:
            assert host_fault(self.host) is None and self.host == self.host.lower(), self.host
        else:
            assert DEFAULT_HOSTS[self.provider], "without a usual host it is named"
        assert not self.is_public or self.provider == GITHUB, "others are asked with a credential"


Base = ForkBase | SnapshotBase | UpstreamBase


def owner_fault(owner: str) -> str | None:
    """Return why no upstream can have this owner, which would alter the address; None for a good owner."""
    parts = owner.split("/")
    if _UNSAFE.search(owner) or any(part in ("", ".", "..") for part in parts):
        return "it is no path on a git host"
    if len(owner.encode("utf-8", "replace")) > _SEGMENT_MAX_BYTES or not owner.isprintable():
        return "it is too long or unprintable"
    return None


def name_fault(name: str) -> str | None:
    """Return why no upstream can have this name; None for a good name."""
    return owner_fault(name) or ("it holds a slash" if "/" in name else None)


def host_fault(host: str) -> str | None:
    """Return why an upstream cannot be on this host; None for a bare host name with or without a port."""
    match = _HOST.fullmatch(host)
    if match is None or (match["port"] is not None and not 0 < int(match["port"]) < 65536):
        return "it is not a bare host name with an optional port"
    return None
