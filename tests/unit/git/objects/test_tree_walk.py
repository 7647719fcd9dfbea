"""Walks over trees end, whatever the trees hold."""

import pytest

from packhouse.errors import LimitExceeded
from packhouse.git.objects.tree_walk import iter_leaves
from packhouse.git.oid import Oid

pytestmark = pytest.mark.quick

ROOT = Oid("1" * 40)


def test_endlessly_nested_folders_are_refused() -> None:
    with pytest.raises(LimitExceeded, match="too long"):
        list(iter_leaves(lambda oid: b"40000 d\0" + bytes.fromhex(oid), ROOT, entries_max=1_000_000))


def test_endless_paths_are_refused() -> None:
    rows = b"100644 a\0" + b"\2" * 20 + b"40000 d\0" + bytes.fromhex(ROOT)
    with pytest.raises(LimitExceeded, match="too many"):
        list(iter_leaves(lambda _: rows, ROOT, entries_max=1000))
