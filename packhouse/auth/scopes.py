"""The scopes that a token may list in its `scopes` claim."""

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """One entry of the `scopes` claim. `git:write` includes `git:read`; the others include nothing."""

    GIT_READ = "git:read"
    GIT_WRITE = "git:write"
    REPO_WRITE = "repo:write"
    ORG_READ = "org:read"


_KNOWN = frozenset(scope.value for scope in Scope)
_shared_sets: dict[frozenset[Scope], frozenset[Scope]] = {}  # at most one for each combination


def parse_scopes(entries: Iterable[object]) -> frozenset[Scope]:
    """Return the scopes that `entries` name, and the scopes that these include.

    Entries that are unknown or not strings are ignored, because clients send scopes of other services.
    """
    scopes = {Scope(entry) for entry in entries if isinstance(entry, str) and entry in _KNOWN}
    if Scope.GIT_WRITE in scopes:
        scopes.add(Scope.GIT_READ)
    found = frozenset(scopes)
    return _shared_sets.setdefault(found, found)  # one object for thousands of remembered tokens
