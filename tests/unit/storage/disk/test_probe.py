"""The storage's answer to "are you ready?"."""

import resource
import signal
from pathlib import Path

import pytest

from packhouse.storage.disk.store import DiskPackStore


def test_storage_that_takes_no_writes_is_not_ready(tmp_path: Path) -> None:
    store = DiskPackStore(tmp_path)
    store.check()
    # A limit on file sizes stands for a full disk: files can be made, and hold nothing (setrlimit(2)).
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            store.check()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    store.check()
    assert not list((tmp_path / "locks").glob(".probe*"))
    store.close()
