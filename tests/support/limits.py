"""Bounds of nodes that write in another way than most: small packs are stored, or packs are joined early."""

from typing import Final

import pytest

from packhouse.limits import DEFAULT_LIMITS, Limits

STORED: Final = Limits(journal_pack_max_bytes=0)
"""Every write stores a pack, however small it is."""

EITHER_WAY: Final = pytest.mark.parametrize("limits", [DEFAULT_LIMITS, STORED], ids=["journal", "stored"])
"""Runs a test on a node that adds small packs to the journal, and on one that stores them."""
