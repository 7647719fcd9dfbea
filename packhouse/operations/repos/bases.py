"""The base of a new repository: another repository of this server, or an upstream to follow."""

from dataclasses import dataclass

from packhouse.git import Oid
from packhouse.git.objects import Person
from packhouse.repository import DEFAULT_HOSTS, GITHUB, host_fault, name_fault, owner_fault


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

    The parts must pass the functions of `repository/upstream/providers.py`.
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
