"""Advertising to a client the refs before its push."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.git.wire import receive_advertisement
from packhouse.node import Node
from packhouse.operations.transport.remotes import Remote, read_view


@dataclass(frozen=True, slots=True)
class AdvertisePush:
    """The remote, and the version of the protocol: 0, 1 or 2."""

    remote: Remote
    version: int


def advertise_push(node: Node, caller: Principal, command: AdvertisePush) -> bytes:
    """Return the body of `info/refs` for a push. Protocol v2 has no pushes, so it is answered in v0."""
    shown = read_view(node, caller, command.remote)
    return receive_advertisement(shown, version=command.version if command.version == 1 else 0)
