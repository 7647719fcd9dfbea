"""What `git fsck --strict` says of files that are put into a tree, as far as no git process is needed.

Names are checked by check_tree_path(), order and form of trees are TreeEditor's own. Source: git's fsck.c,
fsck_tree(), fsck_blob() and fsck_finish(). The content of `.gitmodules` is git's own configuration
language; `git index-pack --strict` on the finished pack judges that (needs_git_fsck() says when).
"""

import re
from collections.abc import Iterable

from packhouse import limits
from packhouse.errors import Invalid
from packhouse.git.objects import MODE_GITLINK, MODE_SYMLINK, MODE_TREE
from packhouse.git.oid import ZERO_OID, Oid
from packhouse.git.tree_path import is_gitattributes_name, is_gitmodules_name

_LONG_LINE = re.compile(rb"^[^\n]{%d}" % limits.attributes_line_max_bytes, re.MULTILINE)


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
    size_bytes = 0
    unfinished_line = b""
    ended = False
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > limits.attributes_file_max_bytes:
            raise Invalid("attributes file is too large")
        if ended:
            continue
        text, nul, _ = chunk.partition(b"\0")
        ended = bool(nul)
        text = unfinished_line + text
        if _LONG_LINE.search(text) is not None:
            raise Invalid("attributes file has a line that is too long")
        unfinished_line = text[text.rfind(b"\n") + 1 :]


def _check_special_name(name: bytes, mode: int, path: bytes) -> None:
    if is_gitmodules_name(name) and mode in {MODE_SYMLINK, MODE_TREE, MODE_GITLINK}:
        raise Invalid("`.gitmodules` is not a file", path=path)
    if is_gitattributes_name(name) and mode in {MODE_TREE, MODE_GITLINK}:
        raise Invalid("`.gitattributes` is not a file", path=path)
