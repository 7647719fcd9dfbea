"""Support for unit tests of the edge."""

from collections.abc import Iterator

import pytest

from packhouse.node.node import Node
from packhouse.web.call import Shared
from tests.support.exchanges import open_shared


@pytest.fixture
def shared(memory_node: Node) -> Iterator[Shared]:
    """The values that the requests of a process share, over a node in memory."""
    opened = open_shared(memory_node)
    yield opened
    opened.admission.close()
