"""HEAD, and the refs of a repository as files for git."""

from dataclasses import replace
from pathlib import Path

from packhouse.db import Repo, find_repo_by_id, list_refs
from packhouse.git import HEAD, HEADS, RefName
from packhouse.git.commands.process import GitProcess
from packhouse.git.commands.transport.upload_pack import start_upload_pack
from packhouse.git.refs_files import RefsState, are_current, write_ref_files
from packhouse.repository.view import RepoView


def head_target(repo: Repo) -> RefName:
    """Return the full name of the default branch, which HEAD names whether it exists or not."""
    return RefName(HEADS + repo.default_branch.encode("utf-8"))


def follow_head(repo: Repo, refname: RefName) -> RefName:
    """Return the full name of the default branch for `HEAD`, and any other name unchanged."""
    return head_target(repo) if refname == HEAD else refname


def spawn_upload_pack(view: RepoView, *, namespace: str, version: int) -> GitProcess:
    """Start upload-pack with the refs of the repository as they are now or later, and its objects.

    `version` is the version of the protocol. The process inherits locks, so its files stay even when this server dies.
    Raises OSError when neither disk nor memory takes the files of the refs.
    """

    def write(folder: Path) -> None:
        if not are_current(folder, _state_of(view.repo)):
            write_ref_files(folder, lambda: _read_state(view))

    with view.node.store.git_dir(view.repo.public_id, write) as (git_dir, descriptors):
        objects = view.place()  # after the refs were read, so that it has all of their objects
        place = replace(objects, git_dir=git_dir, descriptors=(*objects.descriptors, *descriptors))
        return start_upload_pack(place, namespace=namespace, version=version)


def _state_of(repo: Repo) -> RefsState:
    return RefsState(repo.refs_version, repo.refs_state, head_target(repo))


def _read_state(view: RepoView) -> RefsState:
    with view.node.database.snapshot() as session:
        # The repository is found by id, because another one may have taken the name meanwhile.
        now = find_repo_by_id(session, view.repo.id) or view.repo
        refs = list_refs(session, view.repo.id)
    shown = [(ref.namespace, ref.refname, ref.oid, ref.peeled_oid) for ref in refs]
    return RefsState(now.refs_version, now.refs_state, head_target(now), shown)
