"""The answer to `info/refs` in protocol v0 and v1: every ref, and the capabilities of the server.

The capability lists are those of git's own upload-pack and receive-pack, as far as this server offers them;
gitprotocol-capabilities(5) explains each. Sources: gitprotocol-http(5), "Smart Clients"; gitprotocol-pack(5),
"Reference Discovery".
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

import packhouse
from packhouse.git import HEAD, ZERO_OID, Oid, RefName
from packhouse.git.wire.pktline import FLUSH_PKT, encode_packet

AGENT: Final = b"packhouse/" + packhouse.__version__.encode("ascii")

_UPLOAD_CAPABILITIES: Final = (
    b"multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not deepen-relative "
    b"no-progress include-tag multi_ack_detailed allow-tip-sha1-in-want allow-reachable-sha1-in-want no-done"
)
_RECEIVE_CAPABILITIES: Final = (
    b"report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options "
    b"object-format=sha1 agent=" + AGENT
)


class Service(Enum):
    """The two programs a client may ask for, named from the server's side."""

    UPLOAD_PACK = "git-upload-pack"
    RECEIVE_PACK = "git-receive-pack"


class AdvertisedRef(NamedTuple):
    """A ref as a client of one namespace sees it. `peeled_oid` is set only for annotated tags."""

    refname: RefName
    oid: Oid
    peeled_oid: Oid | None


class RefView(NamedTuple):
    """Everything that a remote shows: refs sorted by the bytes of their names, and the branch that HEAD names.

    `head_target` is None on a remote without HEAD (the ephemeral one). The branch may be unborn.
    """

    refs: Sequence[AdvertisedRef]
    head_target: RefName | None

    def head(self) -> AdvertisedRef | None:
        """Return the ref that HEAD names; None if there is no HEAD or it is unborn."""
        if self.head_target is None:
            return None
        return next((ref for ref in self.refs if ref.refname == self.head_target), None)


def protocol_version(git_protocol: str) -> int:
    """Return 0, 1 or 2 from a `Git-Protocol` header: the highest version that both sides know. Skips unknown keys.

    Source: gitprotocol-http(5) and git(1), GIT_PROTOCOL: colon-separated `key[=value]`.
    """
    asked = [item.removeprefix("version=") for item in git_protocol.split(":") if item.startswith("version=")]
    return max((int(version) for version in asked if version in ("0", "1", "2")), default=0)


def service_header(service: Service) -> bytes:
    """Return the announcement at the start of a smart answer in protocol v0 and v1."""
    return encode_packet(b"# service=%b\n" % service.value.encode("ascii")) + FLUSH_PKT


def upload_advertisement(view: RefView, *, version: int) -> bytes:
    """Return the refs and capabilities for a fetch by protocol `version` 0 or 1, with the announcement."""
    head = view.head()
    capabilities = _UPLOAD_CAPABILITIES
    if head is not None:
        capabilities += b" symref=HEAD:" + head.refname
    capabilities += b" filter object-format=sha1 agent=" + AGENT
    refs = view.refs if head is None else [AdvertisedRef(HEAD, head.oid, None), *view.refs]
    return _advertise(Service.UPLOAD_PACK, _lines(refs, peel=True), capabilities, version)


def receive_advertisement(view: RefView, *, version: int) -> bytes:
    """Return the refs and capabilities for a push by protocol `version` 0 or 1, with the announcement.

    It has no HEAD and no peeled tags, as in git's receive-pack. Protocol v2 has no push: a client that asks for it is
    answered in v0.
    """
    return _advertise(Service.RECEIVE_PACK, _lines(view.refs, peel=False), _RECEIVE_CAPABILITIES, version)


def _lines(refs: Sequence[AdvertisedRef], *, peel: bool) -> Iterator[bytes]:
    for ref in refs:
        yield ref.oid.encode("ascii") + b" " + ref.refname
        if peel and ref.peeled_oid is not None:
            yield ref.peeled_oid.encode("ascii") + b" " + ref.refname + b"^{}"


def _advertise(service: Service, lines: Iterator[bytes], capabilities: bytes, version: int) -> bytes:
    parts = [service_header(service)]
    if version == 1:
        parts.append(encode_packet(b"version 1\n"))
    first = next(lines, ZERO_OID.encode("ascii") + b" capabilities^{}")
    parts.append(encode_packet(first + b"\0" + capabilities + b"\n"))
    parts.extend(encode_packet(line + b"\n") for line in lines)
    parts.append(FLUSH_PKT)
    return b"".join(parts)
