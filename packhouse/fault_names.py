"""Names of the faults that git's fsck finds in objects, and which of them are let through where.

Source: git-fsck(1), "Fsck Messages", of git 2.38 to 2.50. A git that is older than a name does not know it, so
`known_faults()` in git/commands/index_pack.py is asked before a name goes to git.
"""

from typing import Final

ALWAYS_ALLOWED: Final = ("badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode")
"""What real histories of many years hold and what harms nobody."""

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
"""What is let through besides on the import remote and from upstreams, unless the operator says else.

`nullSha1` lets null gitlinks through. A null file or folder is refused all the same: no object has that id.
"""

MAY_BE_ALLOWED: Final = frozenset({*ALWAYS_ALLOWED, *IMPORT_ALLOWED, "multipleAuthors"})
"""What an operator may let through on imports: every reader of this server copes with it."""

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
"""What no setting lets through: it is dangerous, or damage. Git itself only warns of a few of these."""

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
"""What git tells and lets through, however strict it is asked to be (fsck.h, INFO and IGNORE)."""

FATAL: Final = frozenset({"nulInHeader", "unterminatedHeader"})
"""What git refuses to be told anything about: it gives up at the first such object (fsck.h, FATAL)."""

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
"""Faults in what stands under a name that git reads: the same object under another name is sound."""
