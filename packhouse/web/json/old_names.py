"""Members of replies under old names. Their values repeat the standard members."""

import functools
import typing
from typing import Annotated, Final, get_args, get_origin

import msgspec

OLD_NAME: Final = ""
"""The default of a member under an old name. The member is filled when the reply is made."""

_MARK: Final = "old_name_of"


def old_name_of(name: str) -> msgspec.Meta:
    """Return the mark of a member that repeats the member `name` under an old name."""
    return msgspec.Meta(
        description=f"Old name of `{name}`.", extra_json_schema={"deprecated": True}, extra={_MARK: name}
    )


class WithOldNames(msgspec.Struct, frozen=True):
    """A reply with members that `old_name_of` marks. Each takes the value of its standard member."""

    def __post_init__(self) -> None:
        for old, standard in _old_names(type(self)):
            msgspec.structs.force_setattr(self, old, getattr(self, standard))


@functools.cache
def _old_names(kind: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """Return (old name, standard name) of all marked members."""
    hints = typing.get_type_hints(kind, include_extras=True)
    marked = ((name, _standard_name(hint)) for name, hint in hints.items())
    return tuple((old, standard) for old, standard in marked if standard)


def _standard_name(hint: object) -> str:
    if get_origin(hint) is not Annotated:
        return ""
    marks = [mark.extra for mark in get_args(hint)[1:] if isinstance(mark, msgspec.Meta) and mark.extra]
    return next((str(extra[_MARK]) for extra in marks if _MARK in extra), "")
