"""How this server reaches an upstream: its address, checked before each contact, and the login for it."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from packhouse import limits
from packhouse.auth import Sealed
from packhouse.db import FollowedUpstream, Repo, find_credential_of_repo
from packhouse.errors import Code, Invalid, PackhouseError, Unavailable
from packhouse.git.commands.transport.remote import Remote, RemoteFault, RemoteLogin, RemoteServer
from packhouse.node import Node
from packhouse.outbound import (
    AddressRefused,
    AddressUnknown,
    Destination,
    parse_destination,
    resolve,
    resolve_with_system,
)
from packhouse.repository.upstream.providers import DEFAULT_HOSTS, GITHUB
from packhouse.secret import Secret
from packhouse.whole_files import replace_file

_SOURCEHUT: Final = frozenset({"sr.ht", "sourcehut"})
_USERNAMES: Final = {"bitbucket": "x-token-auth", "gitlab": "oauth2"}
_GITHUB_APP_USERNAME: Final = "x-access-token"
_TOKEN_FILE_MAX_BYTES: Final = 64 * limits.KIB

AUTHENTICATION_FAILED: Final = "authentication failed"
SENT_TOO_MUCH: Final = "upstream sent too much"
_NOT_RESOLVED: Final = "host name cannot be resolved"
_NOT_CONNECTED: Final = "cannot connect"


class UpstreamAway(Unavailable):
    """The upstream did not do what it was asked for. `reason` is short, in our own words and without secrets.

    With `is_lasting` a second attempt would fail like the first.
    """

    code = Code.UPSTREAM_AWAY
    reason: str
    is_lasting: bool = field(default=False, repr=False, kw_only=True)

    @property
    def is_unclear(self) -> bool:
        """Whether the upstream may have done it all the same: it was reached, and its answer did not come."""
        return not self.is_lasting and self.reason not in (_NOT_RESOLVED, _NOT_CONNECTED)


class UpstreamAddressRefused(Invalid):
    """This server never connects to the upstream's address."""

    code = Code.UPSTREAM_ADDRESS_REFUSED
    reason: str


@dataclass(frozen=True, slots=True)
class UpstreamAccess:
    """The checked server and the login. `is_public`: the server never pushes there, and a pull prunes no local refs."""

    remote: Remote
    is_public: bool


def open_access(node: Node, repo: Repo, upstream: FollowedUpstream) -> UpstreamAccess:
    """Return how to reach the upstream now.

    Raises UpstreamAway when the address does not resolve or must not be reached, and when the credential is absent that
    a generic upstream needs.
    """
    login = None if upstream.auth_mode == "public" else _find_login(node, repo, upstream)
    if login is None and upstream.auth_mode == "credential":
        raise UpstreamAway(AUTHENTICATION_FAILED, is_lasting=True)
    return UpstreamAccess(Remote(_find_server(node, upstream), login), is_public=login is None)


def check_upstream_address(node: Node, upstream: FollowedUpstream) -> None:
    """Raise UpstreamAddressRefused when this server never connects to the upstream's address.

    A name that does not resolve now is accepted, because it may resolve later.
    """
    try:
        _find_server(node, upstream)
    except UpstreamAway as away:
        if away.is_lasting:
            raise UpstreamAddressRefused(away.reason) from None


def make_address(node: Node, upstream: FollowedUpstream) -> str:
    """Return the clone URL. Its scheme is http only for a host that the operator trusts with plain http."""
    owner, name = upstream.owner, upstream.name
    suffix = f"/{quote(owner, safe='/~')}/{quote(name.removesuffix('.git'), safe='~')}"
    if upstream.provider in _SOURCEHUT:
        suffix = suffix if owner.startswith("~") else f"/~{suffix[1:]}"
    else:
        suffix += ".git"
    if upstream.host:
        return f"{_scheme(node, upstream.host)}://{upstream.host}{suffix}"
    base = node.config.upstream_url_map.get(upstream.provider)
    return f"{base or f'https://{DEFAULT_HOSTS[upstream.provider]}'}{suffix}"


def _scheme(node: Node, host: str) -> str:
    parts = urlsplit(f"//{host}")
    trusted = node.config.trusted_host_set
    name = parts.hostname or ""
    if ("https", name, parts.port or 443) in trusted:
        return "https"
    return "http" if ("http", name, parts.port or 80) in trusted else "https"


def _find_server(node: Node, upstream: FollowedUpstream) -> RemoteServer:
    url = make_address(node, upstream)
    try:
        destination = parse_destination(url, node.config.trusted_host_set)
        addresses = resolve(destination, resolve_with_system, timeout_s=limits.upstream_resolve_max_s)
    except AddressUnknown:
        raise UpstreamAway(_NOT_RESOLVED) from None
    except AddressRefused:
        raise UpstreamAway("address is not public", is_lasting=True) from None
    except Invalid:
        raise UpstreamAway("address cannot be used", is_lasting=True) from None
    return RemoteServer(
        url=f"{destination.scheme}://{destination.netloc}{urlsplit(url).path}",
        scheme=destination.scheme,
        host=destination.host,
        port=destination.port,
        addresses=_pinned(destination, [str(address) for address in addresses]),
        ca_file=_authorities(node),
    )


def _pinned(destination: Destination, addresses: list[str]) -> list[str]:
    """Return the addresses that git must connect to; none for a host given as an address, which needs no pinning."""
    return [] if destination.host in addresses else addresses


def _authorities(node: Node) -> Path | None:
    """Return one file with the authorities of the system and of the operator, because git takes only one file."""
    ours = node.config.outbound_ca
    if ours is None:
        return None
    path = node.store.scratch_dir() / "authorities.pem"
    if not path.exists():
        system = ssl.get_default_verify_paths().cafile
        parts = (Path(part).read_bytes() + b"\n" for part in filter(None, (system, str(ours))))
        replace_file(path, b"".join(parts))
    return path


def _find_login(node: Node, repo: Repo, upstream: FollowedUpstream) -> RemoteLogin | None:
    if upstream.provider == GITHUB and node.config.github_token_file is not None:
        return RemoteLogin(_GITHUB_APP_USERNAME, _read_token(node.config.github_token_file))
    with node.database.read() as session:
        stored = find_credential_of_repo(session, repo.id)
    if stored is None:
        return None
    sealed = Sealed(stored.sealed_password, stored.sealed_with)
    try:
        password = node.secret_keys.unseal(sealed, bound_to=f"git_credentials {stored.credential_id}")
    except PackhouseError as error:
        raise UpstreamAway("stored credential cannot be read", is_lasting=True) from error
    return RemoteLogin(stored.username or _USERNAMES.get(upstream.provider, "git"), password)


def _read_token(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            return Secret(file.read(_TOKEN_FILE_MAX_BYTES).decode("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UpstreamAway("configured token cannot be read", is_lasting=True) from error


_REASONS: Final = {
    RemoteFault.NOT_LET_IN: (AUTHENTICATION_FAILED, True),
    RemoteFault.CERTIFICATE: ("certificate is not valid", True),
    RemoteFault.REDIRECT: ("upstream answers with a redirect", True),
    RemoteFault.NOT_FOUND: ("upstream repository not found", True),
    RemoteFault.TIMED_OUT: ("timed out", False),
    RemoteFault.NOT_RESOLVED: (_NOT_RESOLVED, False),
    RemoteFault.BAD_OBJECTS: ("upstream sent objects that are not accepted", True),
    RemoteFault.TOO_MUCH: (SENT_TOO_MUCH, True),
    RemoteFault.NOT_CONNECTED: (_NOT_CONNECTED, False),
    RemoteFault.BROKEN_OFF: ("connection broke off", False),
    RemoteFault.UNKNOWN: ("upstream failed", False),
}


def explain_fault(fault: RemoteFault) -> UpstreamAway:
    """Return the failure in our own words, since git's words may name addresses."""
    reason, is_lasting = _REASONS[fault]
    return UpstreamAway(reason, is_lasting=is_lasting)
