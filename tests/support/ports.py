"""Ports for programs that are told a port first and listen on it a moment later."""

import itertools
import os
import random
import re
import socket

_FIRST = 10_000
_BLOCK = 1_250
_BLOCKS = 16


def _ports_of_this_process() -> "itertools.cycle[int]":
    """Return ports that the kernel gives to nobody and no other process of this test run takes.

    A port that is free while it is looked for may be another's when it is listened on. So these are not from
    the range of which anybody gets some who asks for any port: it begins at 32768 (ip(7)).
    """
    worker = re.search(r"\d+", os.environ.get("PYTEST_XDIST_WORKER", ""))
    first = _FIRST + _BLOCK * (int(worker[0]) % _BLOCKS if worker else 0)
    start = random.randrange(_BLOCK)  # other test runs on this machine
    return itertools.cycle(first + (start + number) % _BLOCK for number in range(_BLOCK))


_ports = _ports_of_this_process()


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on, a different one each time."""
    for port in itertools.islice(_ports, _BLOCK):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
