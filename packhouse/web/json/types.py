"""Types of members, with their description in the OpenAPI document.

The structs beside the handlers are made of these types. A type changes nothing in how a member is read: handlers and
operations refuse values, with sentences of their own. Each type describes as much of that as a schema can, and never
more: a gateway that goes by the document must let through what the server takes.

Patterns use only what ECMA-262, Python and RE2 read alike, so they have no look-around. Text is trimmed before it is
judged, so they let blanks through at both ends.
"""

from typing import Annotated, Any, Final

import msgspec

from packhouse import limits
from packhouse.web.json.fields import Verbatim

DEFAULT_KEY: Final = "x-default"
"""The default in the document, where the struct has another one: the size of a page, for example, where it has 0."""


NOT_BLANK: Final = r"\S"


def says(**keywords: Any) -> msgspec.Meta:
    """Return the mark that puts these keywords of JSON Schema into the document. Nothing else reads them."""
    return msgspec.Meta(extra_json_schema=keywords)


def one_of(*words: str) -> msgspec.Meta:
    """Return the mark of a request's member that takes one of these words. Blanks around the word are ignored."""
    return says(anyOf=[{"enum": list(words)}, {"pattern": rf"^\s*({'|'.join(words)})?\s*$"}])


def always(*words: str) -> msgspec.Meta:
    """Return the mark of an answer's member that has one of these words."""
    return says(enum=list(words))


def needs(*names: str) -> dict[str, Any]:
    """Return the rule that one of these members must hold text. The first is the standard one."""
    return {
        "anyOf": [
            {"required": [name], "properties": {name: {"type": "string", "pattern": NOT_BLANK}}}
            for name in names
        ]
    }


def clamped(maximum: int, *, default: int, counts: str = "") -> msgspec.Meta:
    """Return the mark of a number of a request: 0 becomes the default, a larger number the maximum."""
    return msgspec.Meta(
        description=f"{counts} 0 counts as {default}, and more than {maximum} as {maximum}.".strip(),
        extra_json_schema={DEFAULT_KEY: default, "minimum": 0, "anyOf": _up_to(maximum)},
    )


def optional_page(maximum: int, *, default: int, unpaged: str = "") -> msgspec.Meta:
    """Return the mark of a `limit` without a default in the schema: without `limit` there may be no pages at all."""
    counts = f"With `cursor` alone a page has {default}. More than {maximum} count as {maximum}."
    return msgspec.Meta(
        description=f"{unpaged} {counts}".strip(),
        extra_json_schema={"minimum": 0, "anyOf": _up_to(maximum)},
    )


def _up_to(maximum: int) -> list[dict[str, Any]]:
    """Return the schema that states `maximum` and accepts larger numbers too, since the server clamps them."""
    return [{"maximum": maximum}, {"minimum": maximum + 1, "description": f"Counts as {maximum}."}]


PageLimit = Annotated[int, clamped(limits.page_max, default=limits.page_default)]

# Answers

Sha = Annotated[str, says(pattern="^[0-9a-f]{40}$")]
ShaOrBlank = Annotated[str, says(pattern="^([0-9a-f]{40})?$")]
Timestamp = Annotated[
    str, says(format="date-time", pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
]
Count = Annotated[int, says(minimum=0)]
Number = Annotated[int, says(minimum=1)]
Name = Annotated[str, says(minLength=1)]
FileMode = Annotated[str, says(pattern="^[0-7]{6}$")]
EntryType = Annotated[str, always("blob", "tree", "symlink", "submodule")]
Base64 = Annotated[
    str,
    msgspec.Meta(
        description="The bytes of a path that is not UTF-8, in base64.",
        extra_json_schema={"pattern": "^[A-Za-z0-9+/]+={0,2}$"},
    ),
]
NotesRef = Annotated[str, says(pattern="^refs/notes/.")]

# Requests

_CONTROL: Final = r"[\x00-\x08\x0e-\x1b\x7f]"  # without white space, which may stand around the text
_GIT_REFUSES: Final = (
    _CONTROL + r"|[~^:?*\[\\]|\S[\t-\r ]+\S|\.\.|@\{|//|/\.|\.lock(/|\s*$)|[/.]\s*$|^\s*[/.]|refs/heads/refs/"
)
_REFNAME_MAX: Final = limits.refname_max_bytes

AnyRef = Annotated[
    str,
    msgspec.Meta(
        description="A branch, a tag, a commit's id, a full name or an expression such as `main~2`.",
        extra_json_schema={
            "maxLength": _REFNAME_MAX,
            "not": {"type": "string", "pattern": rf"^\s*-|{_CONTROL}|:|\.\.|@\{{|\^\{{/|\S[\t-\r]+\S"},
        },
    ),
]
BranchName = Annotated[
    str,
    msgspec.Meta(
        description="A branch, with or without `refs/heads/` in front.",
        extra_json_schema={
            "maxLength": _REFNAME_MAX,
            "not": {"type": "string", "pattern": _GIT_REFUSES},
            "anyOf": [{"pattern": r"^\s*refs/heads/"}, {"not": {"pattern": r"^\s*refs/"}}],
        },
    ),
]
PlainBranchName = Annotated[
    str,
    msgspec.Meta(
        description="A branch, without `refs/heads/`.",
        extra_json_schema={
            "maxLength": _REFNAME_MAX,
            "not": {"type": "string", "pattern": rf"{_GIT_REFUSES}|^\s*refs/"},
        },
    ),
]
TagName = Annotated[
    str,
    msgspec.Meta(
        description="A tag, without `refs/tags/`.",
        extra_json_schema={
            "maxLength": _REFNAME_MAX,
            "not": {"type": "string", "pattern": rf"{_GIT_REFUSES}|^\s*refs/"},
        },
    ),
]
NewTagName = Annotated[
    str,
    msgspec.Meta(
        description="A tag, without `refs/tags/`; neither `HEAD`, nor an id, nor with a leading `-`.",
        extra_json_schema={
            "maxLength": _REFNAME_MAX,
            "not": {
                "type": "string",
                "pattern": rf"{_GIT_REFUSES}|^\s*(refs/|-)|^\s*(HEAD|[0-9A-Fa-f]{{40}}|[0-9A-Fa-f]{{64}})\s*$",
            },
        },
    ),
]
Guard = Annotated[
    str,
    msgspec.Meta(
        description="Where the ref must be: an id, or a ref that leads there. Forty zeros: it must not exist."
    ),
]

_NO_TREE_HOLDS: Final = r"\x00|(^|/)\.{1,2}(/|$)|[^/]//|(^|/)\.[gG][iI][tT](/|$)"
_PATH_MAX: Final = limits.tree_path_max_bytes + 1  # with a slash at one end

FilePath = Annotated[
    Verbatim,
    msgspec.Meta(
        description="A path from the root of the tree. Not trimmed.",
        extra_json_schema={
            "maxLength": _PATH_MAX,
            "not": {"type": "string", "pattern": _NO_TREE_HOLDS + "|[^/]/$"},
        },
    ),
]
FileOrFolderPath = Annotated[
    Verbatim,
    msgspec.Meta(
        description="A path from the root of the tree; a slash may end a folder's. Not trimmed.",
        extra_json_schema={"maxLength": _PATH_MAX, "not": {"type": "string", "pattern": _NO_TREE_HOLDS}},
    ),
]
EncodedPath = Annotated[
    Verbatim,
    msgspec.Meta(
        description="The bytes of a path that is not UTF-8, in base64 of either alphabet, with or without padding.",
        extra_json_schema={"pattern": r"^[A-Za-z0-9+/_ -]*={0,2}$", "maxLength": 2 * _PATH_MAX},
    ),
]
PathPrefix = Annotated[
    Verbatim,
    msgspec.Meta(
        description="What paths begin with; `src/ca` finds `src/cart.py`. Not trimmed.",
        extra_json_schema={
            "maxLength": _PATH_MAX,
            "not": {"type": "string", "pattern": r"\x00|(^|/)\.{1,2}(/|$)|[^/]//|(^|/)\.[gG][iI][tT]/"},
        },
    ),
]
Glob = Annotated[
    str,
    says(
        minLength=1,
        maxLength=limits.glob_max_chars + 1,
        **{"not": {"type": "string", "pattern": r"\x00|^/$"}},
    ),
]
Globs = Annotated[list[Glob], says(maxItems=limits.globs_max)]
Cursor = Annotated[
    str,
    msgspec.Meta(description="The `next_cursor` of the page before.", extra_json_schema={"maxLength": 8192}),
]
EncodedCursor = Annotated[Cursor, says(pattern=r"^\s*[A-Za-z0-9_-]*=*\s*$")]
CommitCursor = Annotated[Cursor, says(pattern=r"^\s*([0-9]{1,18}(:[0-9a-f]{40})?)?\s*$")]
PathCursor = Annotated[
    Verbatim,
    msgspec.Meta(
        description="The `next_cursor` of the page before.", extra_json_schema={"maxLength": 2 * _PATH_MAX}
    ),
]
PersonText = Annotated[str, says(pattern=r"^\s*[^\s<>\x00]([^<>\n\x00]*[^\s<>\x00])?\s*$")]
_DATE: Final = (
    r"^\s*([0-9]{4}-?[0-9]{2}-?[0-9]{2}([Tt ][0-9]{2}:?[0-9]{2}(:?[0-9]{2}([.,][0-9]+)?)?"
    r"( ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?))?)?)?\s*$"
)
Date = Annotated[
    str, msgspec.Meta(description="ISO 8601; now when absent.", extra_json_schema={"pattern": _DATE})
]
ExpiryDate = Annotated[
    str,
    msgspec.Meta(
        description="ISO 8601, in the future. About then the repository is deleted. Never when absent.",
        extra_json_schema={"pattern": _DATE},
    ),
]
Message = Annotated[str, says(pattern=r"\S", **{"not": {"type": "string", "pattern": r"\x00"}})]
