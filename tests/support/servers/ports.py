"""Ports for programs that are told a port first and listen on it a moment later."""

import random
import socket

_PORTS = range(10_000, 30_000)
"""Below those of which the kernel gives one to anybody who asks for any (ip(7), ip_local_port_range)."""


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on, and no other test gets while this process lives.

    A port that is free when it is looked for may be another's when it is listened on. So it is reserved among
    all tests that run on the machine, by an abstract socket of its name (unix(7)): the kernel knows whose it is
    and forgets it with the process.
    """
    for _ in range(1000):
        port = random.choice(_PORTS)
        with socket.socket(socket.AF_UNIX) as reservation, socket.socket() as probe:
            try:
                reservation.bind(f"\0packhouse test port {port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            reservation.detach()  # it stays open
        return port
    raise AssertionError("no port is free")
