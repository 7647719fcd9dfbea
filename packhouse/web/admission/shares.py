"""Fair sharing of a number of places among organisations and their repositories."""

from collections import Counter
from typing import Final

Holder = tuple[int, str]
"""Who holds a slot: the id of an organisation and the name of one of its repositories."""

_ORG_MULTIPLE: Final = 4
_REPO_MULTIPLE: Final = 2


class Shares:
    """Counts how many of a number of places each holder has, and tells who may take one more.

    An organisation may take a place while it holds fewer than four times as many places as are free, a repository
    while it holds fewer than twice as many. So a single holder gets most places, several holders get about the same
    number, and a newcomer finds a place however many the others ask for. Source: A. Choudhury and E. Hahne, "Dynamic
    queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on Networking 6 (1998) 2.
    """

    def __init__(self, places: int) -> None:
        self.free = places
        self._held: Counter[int | Holder] = Counter()

    def has_room(self, holder: Holder) -> bool:
        """Tell whether the holder may take one more place."""
        org_id, _repo = holder
        return (
            self._held[org_id] < _ORG_MULTIPLE * self.free and self._held[holder] < _REPO_MULTIPLE * self.free
        )

    def take(self, holder: Holder) -> None:
        """Give the holder a place. The caller has asked `has_room`."""
        assert self.free > 0
        self.free -= 1
        self._held.update((holder[0], holder))

    def give_back(self, holder: Holder) -> None:
        """Free a place of the holder."""
        self.free += 1
        self._held.subtract((holder[0], holder))
        for key in (holder[0], holder):
            if not self._held[key]:
                del self._held[key]
