"""Who makes a commit that nobody signed with a name: merges and notes without an author."""

from typing import Final

from packhouse.git.objects.codec import Person
from packhouse.node.node import Node

SERVER_NAME: Final = "Packhouse"
SERVER_EMAIL: Final = "noreply@packhouse.invalid"  # .invalid never gets mail: RFC 2606 section 2


def server_person(node: Node) -> Person:
    """Return the server's own identity, now."""
    return Person(SERVER_NAME, SERVER_EMAIL, node.clock(), "+0000")
