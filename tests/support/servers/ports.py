"""Ports for programs that learn their port first and listen on it a moment later."""

import random
import socket

_PORTS = range(10_000, 30_000)
"""Below the ports that the kernel gives to a program that asks for any port (ip(7), ip_local_port_range)."""


def free_port() -> int:
    """Return a free port of the loopback address. No other test gets it while this process lives.

    Another program may take a port between the check that it is free and its use. So the port is reserved among all
    tests on the machine, by an abstract socket of its name (unix(7)). The kernel knows its owner, and frees it with the
    process.
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
