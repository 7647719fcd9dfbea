"""The start of the names of repositories that are deleted together."""

from packhouse import limits
from packhouse.errors import Code, Invalid


class NamePrefixInvalid(Invalid):
    """The text is not the start of any repository's name, or it is empty and would be the start of all."""

    code = Code.NAME_PREFIX_INVALID


def check_prefix(prefix: str) -> str:
    """Return `prefix` unchanged. Raises NamePrefixInvalid unless it has 1 to 255 bytes of UTF-8."""
    try:
        size_bytes = len(prefix.encode("utf-8"))
    except UnicodeEncodeError:
        raise NamePrefixInvalid() from None
    if not 1 <= size_bytes <= limits.repo_name_max_bytes:
        raise NamePrefixInvalid()
    return prefix
