"""Names of the faults that git's fsck finds in objects, and where each is allowed.

Source: git-fsck(1), "Fsck Messages", of git 2.38 to 2.50. An older git does not know every name. So `known_faults()` in
git/commands/index_pack.py is asked before a name is passed to git.
"""

from typing import Final

ALWAYS_ALLOWED: Final = ("badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode")
"""Harmless faults that are common in real histories of many years."""

IMPORT_ALLOWED: Final = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeEmail",
    "nulInCommit",
    "nullSha1",
    "zeroPaddedDate",
)
"""Faults that the import remote and upstreams allow besides, unless the operator sets another list.

`nullSha1` allows null gitlinks. A null file or folder is still refused: no object has that id.
"""

MAY_BE_ALLOWED: Final = frozenset({*ALWAYS_ALLOWED, *IMPORT_ALLOWED, "multipleAuthors"})
"""Faults that an operator may allow on imports. Every reader of this server copes with them."""

NEVER_ALLOWED: Final = frozenset(
    {
        "badFilemode",
        "badGpgsig",
        "badHeaderContinuation",
        "badObjectSha1",
        "badParentSha1",
        "badTagName",
        "badTree",
        "badTreeSha1",
        "badType",
        "duplicateEntries",
        "emptyName",
        "extraHeaderEntry",
        "fullPathname",
        "gitattributesBlob",
        "gitattributesLarge",
        "gitattributesLineLength",
        "gitattributesMissing",
        "gitattributesSymlink",
        "gitignoreSymlink",
        "gitmodulesBlob",
        "gitmodulesLarge",
        "gitmodulesMissing",
        "gitmodulesName",
        "gitmodulesParse",
        "gitmodulesPath",
        "gitmodulesSymlink",
        "gitmodulesUpdate",
        "gitmodulesUrl",
        "hasDot",
        "hasDotdot",
        "hasDotgit",
        "largePathname",
        "mailmapSymlink",
        "missingAuthor",
        "missingCommitter",
        "missingObject",
        "missingTag",
        "missingTagEntry",
        "missingTaggerEntry",
        "missingTree",
        "missingType",
        "missingTypeEntry",
        "nulInHeader",
        "treeNotSorted",
        "unknownType",
        "unterminatedHeader",
    }
)
"""Faults that no setting allows: they are dangerous, or damage. Git itself only warns about a few of them."""

ONLY_WARNED_OF: Final = frozenset(
    {
        "badFilemode",
        "badTagName",
        "extraHeaderEntry",
        "gitattributesSymlink",
        "gitignoreSymlink",
        "gitmodulesParse",
        "mailmapSymlink",
        "missingTaggerEntry",
    }
)
"""Faults that git reports and accepts, however strict it is told to be (fsck.h, INFO and IGNORE)."""

FATAL: Final = frozenset({"nulInHeader", "unterminatedHeader"})
"""Faults that git cannot be told to accept. It stops at the first such object (fsck.h, FATAL)."""

CONTENT_FAULTS: Final = frozenset(
    {
        "gitattributesBlob",
        "gitattributesLarge",
        "gitattributesLineLength",
        "gitattributesMissing",
        "gitmodulesBlob",
        "gitmodulesLarge",
        "gitmodulesMissing",
        "gitmodulesName",
        "gitmodulesPath",
        "gitmodulesUpdate",
        "gitmodulesUrl",
    }
)
"""Faults of content under a name that git reads. The same object under another name is sound."""
