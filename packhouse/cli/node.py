"""The node that a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager

from packhouse.cli.settings import load_settings
from packhouse.operations.node import Node, open_node


@contextmanager
def opened_node() -> Iterator[Node]:
    """Open the node of this run's settings, for the length of a command."""
    node = open_node(load_settings())
    try:
        yield node
    finally:
        node.close()
