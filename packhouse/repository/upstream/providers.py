"""The services that host upstreams, and the rules for the address of an upstream."""

import re
from collections.abc import Mapping
from typing import Final

GITHUB: Final = "github"
DEFAULT_HOSTS: Final[Mapping[str, str]] = {
    "github": "github.com",
    "gitlab": "gitlab.com",
    "bitbucket": "bitbucket.org",
    "codeberg": "codeberg.org",
    "sr.ht": "git.sr.ht",
    "sourcehut": "git.sr.ht",
    "gitea": "",
    "forgejo": "",
}
"""The providers with their usual hosts; "" for a provider without a usual host."""

_SEGMENT_MAX_BYTES: Final = 255
_HOST: Final = re.compile(
    r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
)
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f\\?#%@:]")


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
