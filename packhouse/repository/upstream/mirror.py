"""Which refs a pull changes: pure arithmetic on two sets of refs."""

from collections.abc import Iterable, Mapping

from packhouse.db import RefUpdate
from packhouse.git import HEADS, PERSISTENT, TAGS, Oid, RefName, RefNameInvalid, is_refname, new_name_fault

MIRRORED = (HEADS, TAGS)
"""The prefixes of the refs that an upstream and its mirror share: neither notes nor ephemeral refs."""


def plan_mirror(
    local: Mapping[RefName, Oid],
    upstream: Mapping[RefName, Oid],
    *,
    scope: Iterable[RefName] | None,
    prune: bool,
) -> list[RefUpdate]:
    """Return the updates that make `local` equal to `upstream`, sorted by name.

    Each is guarded by the value in `local`, so that a ref that is written meanwhile stays as written. `scope` limits
    the updates to some refs. Without `prune`, refs that the upstream lacks stay. A ref of the upstream whose name no
    new ref can have is left out, unless it exists here already: see `list_unfit`.
    """
    names = set(local) | set(upstream) if scope is None else set(scope)
    updates = []
    for name in sorted(names):
        old, new = local.get(name), upstream.get(name)
        if old == new or (new is None and not prune) or (old is None and new_name_fault(name) is not None):
            continue
        updates.append(RefUpdate(PERSISTENT, name, old, new))
    return updates


def list_unfit(local: Mapping[RefName, Oid], upstream: Mapping[RefName, Oid]) -> list[RefName]:
    """Return the refs of the upstream that cannot be made here because of their names, sorted."""
    return sorted(name for name in upstream if name not in local and new_name_fault(name) is not None)


def is_mirrored(name: bytes) -> bool:
    """Tell whether a ref of the upstream can be a ref here."""
    return name.startswith(MIRRORED) and is_refname(name)


def names_for(ref: str, *, default_branch: str) -> list[RefName]:
    """Return the refs that a full or short name of a branch or tag may mean; raise Invalid when there are none.

    `HEAD` means the default branch.
    """
    if ref == "HEAD":
        return [RefName(HEADS + default_branch.encode("utf-8"))]
    name = ref.encode("utf-8", "surrogateescape")
    if not name.startswith(b"refs/"):
        return [RefName(HEADS + name), RefName(TAGS + name)]
    if not name.startswith(MIRRORED):
        raise RefNameInvalid(ref[:200])
    return [RefName(name)]
