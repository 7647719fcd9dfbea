"""A new pack is removed, whatever the disk says."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.storage.new_pack import NewPack

pytestmark = pytest.mark.quick


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file of this process grow: writing fails as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
def test_a_new_pack_on_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    new = NewPack(lambda: tmp_path)
    new.writer.add_object("blob", os.urandom(1000))
    with pytest.raises(OSError, match="File too large"):
        new.finish()
    new.discard()
    assert list(tmp_path.iterdir()) == []
