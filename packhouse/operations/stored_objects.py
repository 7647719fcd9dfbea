"""Commits and trees by id, from memory when this process used them lately."""

from packhouse.db.repos import Repo
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.operations.node import Node


def read_object(node: Node, repo: Repo, oid: Oid, kind: str) -> bytes:
    """Return a commit or tree, from memory when this process used it lately."""
    if oid == EMPTY_TREE_OID:
        return b""  # to git it exists everywhere, so a push may bring a commit without it
    content = node.objects.get(repo.public_id, oid)
    if content is None:
        with node.store.reader(repo.public_id) as reader:
            content = reader.read(oid, kind=kind)[1]
        node.objects.put(repo.public_id, oid, content)
    return content
