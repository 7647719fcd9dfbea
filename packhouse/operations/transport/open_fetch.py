"""Serving a fetch: refs from SQL, wants checked here, the pack from git's upload-pack.

Whatever its settings are, upload-pack alone would serve any object of the repository. So this server checks the wants,
in the same way in every protocol version.
"""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import Repo
from packhouse.errors import Code, Unavailable
from packhouse.git import Oid
from packhouse.git.commands.process import GitProcess
from packhouse.git.commands.transport.upload_pack import upload_pack_failure
from packhouse.git.refs_files import NAMESPACES_PREFIX
from packhouse.git.wire import (
    NOTHING_IN_COMMON,
    UploadRequest,
    V2Request,
    encode_error,
    encode_ls_refs,
    parse_fetch_v2,
    parse_ls_refs,
    parse_upload_v0,
    parse_v2_request,
)
from packhouse.node import Node
from packhouse.operations.transport.remotes import Remote, read_repo, read_view
from packhouse.repository import Reason, RepoView, find_reason, is_reachable, open_view, spawn_upload_pack


class GitNotStarted(Unavailable):
    """The system cannot start a git process now. `reason` is the system's, for the operator."""

    code = Code.GIT_NOT_STARTED
    reason: str | None


@dataclass(frozen=True, slots=True)
class OpenFetch:
    """One request of a fetch: the version of the protocol (0, 1 or 2), and the body after gunzip."""

    remote: Remote
    version: int
    body: bytes

    @property
    def is_listing(self) -> bool:
        """Tell whether the request only lists refs. No process starts for it."""
        return self.version == 2 and self.body[4:].startswith(b"command=ls-refs")


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """The whole answer, or a running upload-pack. Feed `request` to the process, send its output, and close it."""

    node: Node | None = None
    repo: Repo | None = None
    process: GitProcess | None = None
    request: bytes = b""
    body: bytes = b""

    def find_failure(self, messages: str) -> Reason | None:
        """Return why upload-pack failed with these messages; None when stored data is not the cause."""
        assert self.node is not None and self.repo is not None, "a process runs for a repository"
        return find_reason(self.node, self.repo, upload_pack_failure(messages))

    def close(self) -> None:
        """End the process, if there is one, and all its children."""
        if self.process is not None:
            self.process.close()


def open_fetch(node: Node, caller: Principal, command: OpenFetch) -> FetchAnswer:
    """Return the answer to one request of a fetch, or the process that writes it.

    A forbidden object and an unknown command are answered as by git: with an error packet and status 200. Raises
    NotFound, ProtocolError for a request outside git's protocol, RepositoryDamaged and RepositoryMended.
    """
    if command.version != 2:
        return _serve(node, caller, command, parse_upload_v0(command.body))
    request = parse_v2_request(command.body)
    if request is None:
        with node.database.read() as session:
            read_repo(session, caller, command.remote)
        return FetchAnswer()
    return _run_command(node, caller, command, request)


def _run_command(node: Node, caller: Principal, command: OpenFetch, request: V2Request) -> FetchAnswer:
    if request.command == "ls-refs":
        asked = parse_ls_refs(request.arguments)
        return FetchAnswer(body=encode_ls_refs(read_view(node, caller, command.remote), asked))
    if request.command == "fetch":
        return _serve(node, caller, command, parse_fetch_v2(request))
    return FetchAnswer(body=encode_error(f"unknown command '{request.command[:100]}'"))


def _serve(node: Node, caller: Principal, command: OpenFetch, asked: UploadRequest) -> FetchAnswer:
    with node.database.read() as session:
        repo = read_repo(session, caller, command.remote)
    with open_view(node, repo) as view:
        if asked.negotiates_only and not (asked.has_haves and not view.is_empty):
            # git 2.39 sends a pack to a client that has named all its objects. Its own client takes that for an error.
            return FetchAnswer(body=NOTHING_IN_COMMON)
        if not asked.wants and not asked.negotiates_only:
            return FetchAnswer()
        refused = _find_refused(view, asked.wants) if asked.wants else None
        if refused is not None:
            return FetchAnswer(body=encode_error(f"upload-pack: not our ref {refused}"))
        if any(NAMESPACES_PREFIX.removeprefix(b"refs/") in name for name in asked.deepen_not):
            return FetchAnswer(body=encode_error("upload-pack: deepen-not names a hidden ref"))
        return FetchAnswer(node, repo, _spawn(view, command), request=command.body[: asked.size_bytes])


def _find_refused(view: RepoView, wants: tuple[Oid, ...]) -> Oid | None:
    """Return the first want that may not be fetched.

    Commits and tags must be reachable from a current ref of either namespace. Trees and blobs need only exist: a
    partial clone asks for thousands of them, and a proof of reachability would cost a walk of every tree.
    """
    if view.is_empty:
        return wants[0]
    history: list[Oid] = []
    for oid in wants:
        header = view.kind_and_size(oid)
        if header is None:
            return oid
        if header[0] in ("commit", "tag"):
            history.append(oid)
    return next((oid for oid in history if not is_reachable(view, oid)), None)


def _spawn(view: RepoView, command: OpenFetch) -> GitProcess:
    try:
        return spawn_upload_pack(view, namespace=command.remote.namespace, version=command.version)
    except OSError as error:
        raise GitNotStarted(error.strerror) from error
