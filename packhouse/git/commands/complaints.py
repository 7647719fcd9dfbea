"""Reading git's messages for packs and objects that git cannot read.

The wordings are those of git 2.39 to 2.47; translations are off (LC_ALL=C). An unknown message names no pack and no
object, and the failure is reported as a failure of git.
"""

import re
from typing import Final

from packhouse.git import Oid

_PACK: Final = re.compile(r"/pack-([0-9a-f]{40})\.(?:pack|idx)\b")
_OBJECT: Final = re.compile(
    r"(?:[Cc]ould not|[Cc]annot|[Uu]nable to|[Ff]ailed to) (?:read|parse|traverse|find|get|load)"
    r"(?:/parse)?(?: (?:parents of|(?:delta base )?object|blob|tree|commit|tag|sha1 file of))*"
    r" '?([0-9a-f]{40})\b"
    r"|(?:[Bb]ad|[Mm]issing|packed|loose|corrupt)(?: (?:tree|blob|commit|tag))? object '?([0-9a-f]{40})\b"
    r"|[Mm]issing (?:tree|blob|commit|tag) '?([0-9a-f]{40})\b"
    r"|bad packed object CRC for ([0-9a-f]{40})\b"
)


_DERIVED: Final = re.compile(
    r"multi-pack-index|pack-int-id|reverse-index|non-monotonic index|\bindex unavailable"
)


def is_about_derived_files(messages: str) -> bool:
    """Tell whether git complains of an idx, a reverse index or a multi-pack-index. These can be made anew."""
    return _DERIVED.search(messages) is not None


def find_packs(messages: str) -> list[str]:
    """Return the names of the packs in the messages, each once."""
    return list(dict.fromkeys(_PACK.findall(messages)))


def find_objects(messages: str) -> list[Oid]:
    """Return the ids of the objects that git could not read, according to the messages, each once."""
    found = (next(filter(None, groups)) for groups in _OBJECT.findall(messages))
    return [Oid(oid) for oid in dict.fromkeys(found)]
