"""The object rules that need no git process: what `git fsck --strict` says of trees and `.gitattributes`.

Source: git's fsck.c, fsck_tree() and fsck_blob(). The content of `.gitmodules` is git's own configuration
language; `git index-pack --strict` on the finished pack judges that (needs_git_fsck() says when).
"""

from collections.abc import Iterable
from itertools import pairwise

from packhouse import limits
from packhouse.errors import Invalid
from packhouse.git.objects import (
    FILE_MODES,
    MODE_GITLINK,
    MODE_SYMLINK,
    MODE_TREE,
    TreeEntry,
    parse_tree,
    tree_sort_key,
)
from packhouse.git.oid import ZERO_OID, Oid
from packhouse.git.tree_path import is_dotgit_name, is_gitattributes_name, is_gitmodules_name


def check_upsert(path: bytes, mode: int, oid: Oid | None = None) -> None:
    """Raise Invalid when no content could make this file legal to git.

    `path` comes from check_tree_path(); `oid` is that of a gitlink. Git refuses the zero id, `.gitmodules` as
    a symlink, and `.gitmodules` or `.gitattributes`, in any spelling, as a folder or gitlink.
    """
    *folders, name = path.split(b"/")
    if oid == ZERO_OID:
        raise Invalid("object id is zero", path=path)
    for folder in folders:
        _check_special_name(folder, MODE_TREE, path)
    _check_special_name(name, mode, path)


def needs_git_fsck(files: Iterable[tuple[bytes, int]]) -> bool:
    """Tell whether one of these (path, mode) has content that only git judges: `.gitmodules`."""
    return any(mode != MODE_GITLINK and is_gitmodules_name(path.rpartition(b"/")[2]) for path, mode in files)


def is_attributes_path(path: bytes, mode: int) -> bool:
    """Tell whether check_attributes() applies to the content of this file."""
    return mode not in {MODE_SYMLINK, MODE_GITLINK} and is_gitattributes_name(path.rpartition(b"/")[2])


def check_attributes(chunks: Iterable[bytes]) -> None:
    """Raise Invalid when git would refuse this content of a `.gitattributes` file.

    A line may have 2047 bytes and the file 100 MiB; git stops reading at a NUL byte. The content may arrive
    in pieces of any size.
    """
    line_bytes = 0
    size_bytes = 0
    ended = False
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > limits.attributes_file_max_bytes:
            raise Invalid("attributes file is too large")
        if ended:
            continue
        text, nul, _ = chunk.partition(b"\0")
        ended = bool(nul)
        first, *others = text.split(b"\n")
        longest = max(line_bytes + len(first), *map(len, others), 0)
        if longest >= limits.attributes_line_max_bytes:
            raise Invalid("attributes file has a line that is too long", line_max_bytes=2047)
        line_bytes = len(others[-1]) if others else line_bytes + len(first)


def check_tree(content: bytes) -> None:
    """Raise Invalid when git's strict fsck would refuse a tree object, and Corrupt when it is none.

    Zero-padded modes pass: old histories hold them and nobody is harmed. Content of files is not looked at.
    """
    entries = parse_tree(content)
    for entry in entries:
        _check_entry(entry)
    keys = [tree_sort_key(entry.mode, entry.name) for entry in entries]
    if any(first >= second for first, second in pairwise(keys)):
        raise Invalid("tree is not sorted")
    if len({entry.name for entry in entries}) != len(entries):
        raise Invalid("tree has two entries of one name")


def _check_entry(entry: TreeEntry) -> None:
    name = entry.name
    if name in {b".", b".."} or b"/" in name or is_dotgit_name(name):
        raise Invalid("tree has a forbidden name", name=name)
    if entry.oid == ZERO_OID:
        raise Invalid("object id is zero", name=name)
    if entry.mode not in FILE_MODES and entry.mode != MODE_TREE:
        raise Invalid("tree has an unknown mode", name=name, mode=f"{entry.mode:o}")
    _check_special_name(name, entry.mode, name)


def _check_special_name(name: bytes, mode: int, path: bytes) -> None:
    if is_gitmodules_name(name) and mode in {MODE_SYMLINK, MODE_TREE, MODE_GITLINK}:
        raise Invalid("`.gitmodules` is not a file", path=path)
    if is_gitattributes_name(name) and mode in {MODE_TREE, MODE_GITLINK}:
        raise Invalid("`.gitattributes` is not a file", path=path)
