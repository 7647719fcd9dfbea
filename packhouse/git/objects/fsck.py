"""The rules of `git fsck --strict` for files of a tree, as far as they need no git process.

TreeEditor calls check_upsert() for each file that it puts into a tree. It keeps order and form of trees itself. Source:
git's fsck.c, fsck_tree() and fsck_finish(). Content is checked by `git index-pack --strict` on the finished pack, in
the rare cases that needs_git_fsck() names.
"""

from collections.abc import Iterable, Mapping

from packhouse.errors import Code, Invalid
from packhouse.git import ZERO_OID, NotAnObjectId, Oid, is_oid
from packhouse.git.objects.codec import FILE_MODES, MODE_GITLINK, MODE_SYMLINK, MODE_TREE, parse_tree
from packhouse.git.objects.tree_path import (
    is_gitattributes_name,
    is_gitmodules_name,
    is_plain_path,
    require_tree_path,
)
from packhouse.git.objects.tree_walk import TreeReader, find_path


class FileModeInvalid(Invalid):
    """An entry of a tree cannot have this mode. `mode` is in octal digits."""

    code = Code.FILE_MODE_INVALID
    mode: str


class OidZero(Invalid):
    """An entry of a tree has the zero id, which git refuses."""

    code = Code.OID_ZERO
    path: bytes


class GitmodulesNotAFile(Invalid):
    """A tree has `.gitmodules` as a symlink, a folder or a submodule, which git refuses."""

    code = Code.GITMODULES_NOT_A_FILE
    path: bytes


class GitattributesNotAFile(Invalid):
    """A tree has `.gitattributes` as a folder or a submodule, which git refuses."""

    code = Code.GITATTRIBUTES_NOT_A_FILE
    path: bytes


def check_upsert(path: bytes, mode: int, oid: Oid | None = None) -> None:
    """Raise Invalid if git refuses this file with any content.

    The caller may pass any bytes: a path must be a TreePath, the mode one of FILE_MODES, and `oid` an object id (None:
    not known yet). As git does, this refuses the zero id, `.gitmodules` as a symlink, and `.gitmodules` or
    `.gitattributes`, in any spelling, as a folder or gitlink.
    """
    if mode not in FILE_MODES:
        raise FileModeInvalid(f"{mode:o}")
    if oid == ZERO_OID:
        raise OidZero(path)
    if oid is not None and not is_oid(oid):
        raise NotAnObjectId(path=path, value=oid[:80])
    if is_plain_path(path):
        return
    require_tree_path(path)
    *folders, name = path.split(b"/")
    for folder in folders:
        _check_special_name(folder, MODE_TREE, path)
    _check_special_name(name, mode, path)


def needs_git_fsck(files: Iterable[tuple[bytes, int]]) -> bool:
    """Tell whether git has rules for the content of one of these (path, mode).

    It has rules for `.gitmodules` (names, paths and addresses of submodules) and `.gitattributes` (lines of at most
    2047 bytes), in any spelling. Run `git index-pack --strict` on the finished pack then.
    """
    for path, mode in files:
        if is_plain_path(path):
            continue
        name = path.rpartition(b"/")[2]
        if mode not in {MODE_SYMLINK, MODE_GITLINK} and (
            is_gitmodules_name(name) or is_gitattributes_name(name)
        ):
            return True
    return False


def merge_needs_git_fsck(
    read_tree: TreeReader, root: Oid, written: Mapping[Oid, bytes], sides: Iterable[Oid]
) -> bool:
    """Tell whether a merge put content that git has rules for at a path where no side had it.

    If one side renames a file to `.gitmodules` and the other writes to the file, the merge joins a name and a blob that
    were each checked without the other. `root` is the merged tree, `written` has the trees that the merge made, `sides`
    are the trees that it joined.
    """
    sides = list(sides)
    folders = [(root, b"")]
    while folders:
        folder, prefix = folders.pop()
        for entry in parse_tree(written[folder]) if folder in written else ():
            path = prefix + entry.name
            if entry.mode == MODE_TREE:
                folders.append((entry.oid, path + b"/"))
            elif needs_git_fsck([(path, entry.mode)]):
                before = (find_path(read_tree, side, path) for side in sides)
                if not any(found is not None and found.oid == entry.oid for found in before):
                    return True
    return False


def _check_special_name(name: bytes, mode: int, path: bytes) -> None:
    if is_gitmodules_name(name) and mode in {MODE_SYMLINK, MODE_TREE, MODE_GITLINK}:
        raise GitmodulesNotAFile(path)
    if is_gitattributes_name(name) and mode in {MODE_TREE, MODE_GITLINK}:
        raise GitattributesNotAFile(path)
