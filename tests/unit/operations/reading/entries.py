"""Commits with entries of every kind, and tags of objects that are not commits."""

from collections.abc import Mapping
from typing import Final

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.git.objects.codec import MODE_GITLINK, encode_tag
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, branch_refname, tag_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import AddCommit, CommitFacts, add_commit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import open_view
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, move_refs

SUBMODULE: Final = Oid("5" * 40)
"""The commit that submodules of tests are at. No repository has it."""


def commit_entries(node: Node, caller: Principal, entries: Mapping[bytes, tuple[int, bytes]]) -> Oid:
    """Commit (mode, content) by path to main of r; a submodule is at SUBMODULE. Return the commit."""
    target = CommitTarget(PERSISTENT, branch_refname("main"))
    with open_view(node, lookup_repo(node, caller, "r")) as view, Write(view) as write:

        def make_tree(maker: TreeMaker) -> Oid:
            editor = maker.edit()
            for path, (mode, content) in entries.items():
                is_link = mode == MODE_GITLINK
                oid = SUBMODULE if is_link else write.writer.add_object("blob", content)
                editor.upsert(TreePath(path), mode, oid)
            return editor.write(maker.emit)

        command = AddCommit(write, target, CommitFacts(b"entries\n", ADA, ADA), make_tree, action="test")
        return add_commit(node, caller, command).commit


def tag_object(node: Node, caller: Principal, name: str, kind: str, oid: Oid, *, annotated: bool) -> Oid:
    """Put a tag of r on any object, as a push does; return the value of the ref."""
    repo, refname = lookup_repo(node, caller, "r"), tag_refname(name)
    if not annotated:
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, refname, None, oid))
        return oid
    with open_view(node, repo) as view, Write(view) as write:
        content = encode_tag(target=oid, target_kind=kind, name=name, tagger=ADA, message=b"m\n")
        tag = write.writer.add_object("tag", content)
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, refname, None, tag, oid), write=write)
    return tag


def make_ephemeral(node: Node, caller: Principal, name: str, base: str = "main") -> None:
    """Put an ephemeral branch of r on the commit of a ref input."""
    create_branch(node, caller, CreateBranch("r", branch_refname(name), ephemeral=True, base_ref=base))
