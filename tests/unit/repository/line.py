"""A small history that tests of refs and reachability share."""

from contextlib import AbstractContextManager

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.objects.codec import encode_tag
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository.view import RepoView, open_view
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, MAIN, move_refs, write_commit_object


class Line:
    """Four commits in a row, stored, with main on the last."""

    def __init__(self, node: Node, caller: Principal, repo: Repo) -> None:
        self.node, self.caller, self.repo = node, caller, repo
        self.commits: list[Oid] = []
        with open_view(node, repo) as view, Write(view) as write:
            for number in range(4):
                self.commits.append(write_commit_object(write, *self.commits[-1:], message=b"%d\n" % number))
            content = encode_tag(
                target=self.commits[0], target_kind="commit", name="v1", tagger=ADA, message=b"m\n"
            )
            self.tag = write.writer.add_object("tag", content)
            self._move(write, RefUpdate(PERSISTENT, MAIN, None, self.commits[-1]))

    def move(
        self, refname: RefName, new: Oid | None, *, namespace: str = PERSISTENT, peeled: Oid | None = None
    ) -> None:
        update = RefUpdate(namespace, refname, None, new, peeled, any_old=True)
        move_refs(self.node, self.caller, self.repo, update)

    def _move(self, write: Write, update: RefUpdate) -> None:
        move_refs(self.node, self.caller, self.repo, update, write=write)

    def open(self) -> AbstractContextManager[RepoView]:
        """Open the repository as it is now."""
        return open_view(self.node, lookup_repo(self.node, self.caller, self.repo.name))
