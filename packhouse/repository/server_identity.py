"""The author of commits that are made without a given author: merges and notes."""

from typing import Final

from packhouse.git.objects import Person
from packhouse.node import Node

SERVER_NAME: Final = "Packhouse"
SERVER_EMAIL: Final = "noreply@packhouse.invalid"  # .invalid never gets mail: RFC 2606 section 2


def server_person(node: Node) -> Person:
    """Return the server's own identity, with the present time."""
    return Person(SERVER_NAME, SERVER_EMAIL, node.clock(), "+0000")
