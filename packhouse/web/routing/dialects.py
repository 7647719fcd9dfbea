"""Tables of old and new names. Handlers see the standard name only.

Clients of both dialects, and builds in between, send either name on either family of paths. So every alias is accepted
everywhere, and answers carry both names (`web/json/old_names.py`).
"""

from collections.abc import Mapping
from typing import Final

Aliases = Mapping[str, tuple[str, ...]]


class BranchMember(str):
    """An old name that takes branches only, where the standard one takes any ref: other `refs/` are refused."""

    __slots__ = ()


_COMMIT_METADATA: Final[Aliases] = {
    "expected_target_sha": ("expected_head_sha",),
    "target_is_ephemeral": ("ephemeral",),
    "base_is_ephemeral": ("ephemeral_base",),
}
_RESTORE_METADATA: Final[Aliases] = {
    "base_ref": ("target_commit_sha",),
    "expected_target_sha": ("expected_head_sha",),
}
_NOTES: Final[Aliases] = {
    "object_ref": ("sha",),
    "notes_ref": ("ref",),
    "expected_notes_ref_sha": ("expected_ref_sha",),
}

REQUEST_ALIASES: Final[Mapping[str, Aliases]] = {
    # route name: standard name: old names, the preferred one first
    "list_commits": {"ref": (BranchMember("branch"),)},
    "get_commit": {"ref": ("sha",)},
    "commit_diff": {
        "ref": ("sha",),
        "base_ref": ("baseSha", "base_sha"),
        "git_apply_compatible": ("gitApplyCompatible",),
    },
    "merge": {"source_ref": (BranchMember("source_branch"),)},
    "preview_merge": {"source_ref": (BranchMember("source_branch"),)},
    "create_tag": {"ref": ("target",)},
    "delete_branch": {"target_branch": ("name",)},
    "create_commit": _COMMIT_METADATA,
    "diff_commit": _COMMIT_METADATA,
    "restore_commit": _RESTORE_METADATA,
    "reset_commits": _RESTORE_METADATA,
    "get_note": _NOTES,
    "write_note": _NOTES,
    "delete_note": _NOTES,
    "grep": {"ref": ("rev",)},
}
