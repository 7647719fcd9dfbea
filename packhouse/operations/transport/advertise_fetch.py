"""Advertising to a client what it may fetch."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.git.wire import CAPABILITIES, upload_advertisement
from packhouse.node import Node
from packhouse.operations.transport.remotes import Remote, read_repo, read_view


@dataclass(frozen=True, slots=True)
class AdvertiseFetch:
    """The remote, and the version of the protocol: 0, 1 or 2."""

    remote: Remote
    version: int


def advertise_fetch(node: Node, caller: Principal, command: AdvertiseFetch) -> bytes:
    """Return the body of `info/refs` for a fetch: in v2 the capabilities, in older versions every ref."""
    if command.version == 2:
        with node.database.read() as session:
            read_repo(session, caller, command.remote)
        return CAPABILITIES
    return upload_advertisement(read_view(node, caller, command.remote), version=command.version)
