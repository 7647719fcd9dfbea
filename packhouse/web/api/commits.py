"""Commits made without a working copy, from streams of files (NDJSON)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Final, Literal

import msgspec

from packhouse import limits
from packhouse.errors import Code, FieldMissing, Invalid
from packhouse.git import EPHEMERAL, PERSISTENT, BranchNameInvalid, branch_refname, oid_to_wire, short_name
from packhouse.git.objects import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    Person,
    check_upsert,
    clean_message,
    make_person,
    parse_date,
)
from packhouse.operations.commits.add_commit import CommitFacts, NewCommit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.restore_commit import RestoreCommit, restore_commit
from packhouse.operations.commits.start_commit import FileChange, PendingCommit, StartCommit, start_commit
from packhouse.operations.commits.start_patch_commit import (
    PendingPatchCommit,
    StartPatchCommit,
    start_patch_commit,
)
from packhouse.operations.commits.streamed_commit import StreamedCommit
from packhouse.repository import Receipt
from packhouse.web.call import Call
from packhouse.web.edge.body import iter_body
from packhouse.web.json import (
    OLD_NAME,
    AnyRef,
    BlobChunkLine,
    BranchName,
    CommitStream,
    Count,
    Date,
    DiffChunkLine,
    FileOrFolderPath,
    Guard,
    Message,
    Name,
    OpenedCommit,
    PathMembers,
    PersonText,
    PlainBranchName,
    Sha,
    WithOldNames,
    always,
    decode_members,
    member_names,
    needs,
    old_name_of,
    one_of,
    parse_blob_line,
    parse_diff_line,
    parse_metadata_line,
    parse_object,
    read_written_path,
    says,
    split_object,
)
from packhouse.web.openapi.description import Description
from packhouse.web.prepared_write import BranchWrite
from packhouse.web.routing.route import ErrorStyle, Route, of_repo, writing_branch

_BATCH_BYTES: Final = 256 * limits.KIB  # collected before a worker thread is asked to digest them

_MODES: Final = {
    "100644": MODE_FILE,
    "100755": MODE_EXECUTABLE,
    "120000": MODE_SYMLINK,
    "160000": MODE_GITLINK,
}


class TooManyFiles(Invalid):
    """A commit lists more files than one commit may. Commit in parts."""

    code = Code.TOO_MANY_FILES
    max_files: int


class FileOperationUnknown(Invalid):
    """The word names no operation on a file. `operation` is its start."""

    code = Code.FILE_OPERATION_UNKNOWN
    operation: str


class FileModeUnknown(Invalid):
    """No file of a commit has this mode. `mode` is the start of the text."""

    code = Code.FILE_MODE_UNKNOWN
    mode: str


class EphemeralWithoutBase(Invalid):
    """The request says that the base is ephemeral, and names no base."""

    code = Code.EPHEMERAL_WITHOUT_BASE


class PersonFields(msgspec.Struct):
    """An author or a committer. `date` is ISO 8601, and the time of the request when absent."""

    name: PersonText
    email: PersonText
    date: Date | None = None


class FileFields(PathMembers, kw_only=True):
    """One entry of the file list."""

    path: Annotated[FileOrFolderPath, says(minLength=1)] | None = None
    content_id: str
    operation: Annotated[str, one_of("upsert", "delete")] | None = None
    mode: Annotated[str, one_of(*_MODES)] | None = None


class CommitMetadata(msgspec.Struct):
    """The metadata line of a commit stream."""

    target_branch: BranchName
    commit_message: Message
    author: PersonFields
    committer: PersonFields | None = None
    expected_target_sha: Guard | None = None
    base_branch: BranchName | None = None
    target_is_ephemeral: bool = False
    base_is_ephemeral: bool = False


class CommitPackMetadata(CommitMetadata):
    """The metadata line of a commit from files."""

    files: Annotated[list[FileFields], says(maxItems=limits.commit_files_max)] = []


class RestoreMetadata(msgspec.Struct):
    """The commit to restore, and the branch to restore it on."""

    target_branch: PlainBranchName
    base_ref: AnyRef
    author: PersonFields
    committer: PersonFields | None = None
    commit_message: str | None = None
    expected_target_sha: Guard | None = None


class CommitReply(msgspec.Struct):
    """The new commit."""

    commit_sha: Sha
    tree_sha: Sha
    target_branch: Name
    pack_bytes: Count
    blob_count: Count


class CommitResult(WithOldNames, frozen=True):
    """What happened to the branch."""

    target_branch: Name
    old_sha: Sha
    new_sha: Sha
    success: Literal[True]
    status: Annotated[str, always("ok")]
    branch: Annotated[Name, old_name_of("target_branch")] = OLD_NAME


class CommitAnswer(msgspec.Struct):
    """The answer of every endpoint that commits."""

    commit: CommitReply
    result: CommitResult


def read_person(fields: PersonFields, *, now: int) -> Person:
    """Return the person as git stores it; raise Invalid for a name, email or date that git would refuse."""
    when, tz = (now, "+0000") if fields.date is None else parse_date(fields.date)
    return make_person(fields.name, fields.email, when, tz)


def read_target(metadata: CommitMetadata) -> CommitTarget:
    """Return target, base and guard of a commit; raise Invalid for bad branch names."""
    base = None if metadata.base_branch is None else branch_refname(metadata.base_branch)
    refname = branch_refname(metadata.target_branch)
    if metadata.base_is_ephemeral and base is None:
        raise EphemeralWithoutBase()
    return CommitTarget(
        namespace=EPHEMERAL if metadata.target_is_ephemeral else PERSISTENT,
        refname=refname,
        base_namespace=EPHEMERAL if metadata.base_is_ephemeral else PERSISTENT,
        base_refname=base,
        expected=metadata.expected_target_sha,
    )


def read_facts(metadata: CommitMetadata, *, now: int) -> CommitFacts:
    """Return message and persons of a commit. Without a committer the author is the committer."""
    author = read_person(metadata.author, now=now)
    committer = author if metadata.committer is None else read_person(metadata.committer, now=now)
    return CommitFacts(clean_message(metadata.commit_message), author, committer)


def read_files(files: Sequence[FileFields]) -> list[FileChange]:
    """Return the file list with checked paths and modes; raise Invalid, which names the unfit member."""
    if len(files) > limits.commit_files_max:
        raise TooManyFiles(limits.commit_files_max)
    changes = []
    for number, entry in enumerate(files):
        operation = (entry.operation or "").strip() or "upsert"
        content_id = entry.content_id.strip()
        if operation not in ("upsert", "delete"):
            raise FileOperationUnknown(operation[:80])
        if not content_id:
            raise FieldMissing("content_id")
        path = read_written_path(entry, f"metadata.files[{number}].path", deletes=operation == "delete")
        mode = None
        if operation == "upsert":
            mode = _MODES.get((entry.mode or "").strip() or "100644")
            if mode is None:
                raise FileModeUnknown(str(entry.mode)[:80])
            check_upsert(path, mode)
        changes.append(FileChange(path, content_id, mode))
    return changes


def commit_answer(target: CommitTarget, new: NewCommit, *, blob_count: int) -> CommitAnswer:
    """Return the reply of every endpoint that commits."""
    branch = short_name(target.refname)
    return CommitAnswer(
        CommitReply(
            commit_sha=new.commit,
            tree_sha=new.tree,
            target_branch=branch,
            pack_bytes=new.pack_bytes,
            blob_count=blob_count,
        ),
        CommitResult(
            target_branch=branch,
            old_sha=oid_to_wire(new.old_oid),
            new_sha=new.commit,
            success=True,
            status="ok",
        ),
    )


async def _read_stream(call: Call, open_commit: Callable[[bytes], OpenedCommit]) -> BranchWrite[CommitAnswer]:
    """Read the whole body, and return the write that makes the commit."""
    stream = CommitStream(open_commit)
    try:
        waiting: list[bytes] = []
        waiting_bytes = 0
        async for piece in iter_body(call.wire.upload, max_bytes=call.config.commit_max_bytes):
            waiting.append(piece)
            waiting_bytes += len(piece)
            if waiting_bytes >= _BATCH_BYTES:
                await call.in_thread(stream.feed, b"".join(waiting))
                waiting, waiting_bytes = [], 0
        await call.in_thread(stream.feed, b"".join(waiting))
        commit = stream.finish()
    except BaseException:
        await call.in_thread(stream.close)
        raise
    target = commit.target
    return BranchWrite(
        operation=partial(_commit, commit),
        render=lambda new: commit_answer(target, new, blob_count=commit.blob_count),
        discard=stream.close,
        namespace=target.namespace,
        refname=target.refname,
    )


def _commit(commit: StreamedCommit, receipt: Receipt[NewCommit] | None) -> NewCommit:
    try:
        return commit.commit(receipt=receipt)
    finally:
        commit.close()


def _read_commit(call: Call, metadata: CommitMetadata) -> tuple[CommitTarget, CommitFacts]:
    """Return target and facts of a commit. From now on a failure's answer names the branch."""
    call.failure_facts["branch"] = metadata.target_branch.removeprefix("refs/heads/")
    return read_target(metadata), read_facts(metadata, now=call.node.clock())


async def create_commit(call: Call) -> BranchWrite[CommitAnswer]:
    """POST …/commit-pack: one commit from a stream of files."""

    def open_commit(line: bytes) -> OpenedCommit:
        metadata = parse_metadata_line(line, CommitPackMetadata, where="create_commit")
        target, facts = _read_commit(call, metadata)
        command = StartCommit(call.caller.repo, target, facts, read_files(metadata.files))
        commit = start_commit(call.node, call.caller.principal, command)
        return OpenedCommit(commit, partial(_add_blob_chunk, commit))

    return await _read_stream(call, open_commit)


def _add_blob_chunk(commit: PendingCommit, line: bytes) -> None:
    content_id, data, eof = parse_blob_line(line)
    commit.add_chunk(content_id, data, eof=eof)


async def commit_diff(call: Call) -> BranchWrite[CommitAnswer]:
    """POST …/diff-commit: one commit from a patch."""

    def open_commit(line: bytes) -> OpenedCommit:
        metadata = parse_metadata_line(line, CommitMetadata, where="diff_commit")
        target, facts = _read_commit(call, metadata)
        command = StartPatchCommit(call.caller.repo, target, facts)
        commit = start_patch_commit(call.node, call.caller.principal, command)
        return OpenedCommit(commit, partial(_add_diff_chunk, commit))

    return await _read_stream(call, open_commit)


def _add_diff_chunk(commit: PendingPatchCommit, line: bytes) -> None:
    data, eof = parse_diff_line(line)
    commit.add_chunk(data, eof=eof)


async def restore(call: Call) -> BranchWrite[CommitAnswer]:
    """POST …/restore-commit and …/reset-commits: an earlier tree as a new commit."""
    metadata = await _read_restore(call)
    if metadata.target_branch.startswith("refs/"):
        raise BranchNameInvalid(metadata.target_branch[:200])
    call.failure_facts["branch"] = metadata.target_branch
    now = call.node.clock()
    author = read_person(metadata.author, now=now)
    target = CommitTarget(
        namespace=PERSISTENT,
        refname=branch_refname(metadata.target_branch),
        expected=metadata.expected_target_sha,
    )
    command = RestoreCommit(
        repo=call.caller.repo,
        target=target,
        base_ref=metadata.base_ref,
        message=metadata.commit_message,
        author=author,
        committer=author if metadata.committer is None else read_person(metadata.committer, now=now),
    )
    return call.prepare_branch_write(
        restore_commit,
        command,
        lambda new: commit_answer(target, new, blob_count=0),
        namespace=target.namespace,
        refname=target.refname,
    )


async def _read_restore(call: Call) -> RestoreMetadata:
    """Return the metadata. The body is a JSON object, or an NDJSON stream whose first line has it."""
    pieces = [piece async for piece in iter_body(call.wire.upload, max_bytes=limits.json_body_max_bytes)]
    text = b"".join(pieces).lstrip()
    try:
        body = split_object(text, ("metadata",))
    except Invalid:
        first, _, more = text.partition(b"\n")
        if not more:
            raise
        body = split_object(first, ("metadata",))
    raw = (body or {}).get("metadata", b"null")
    if raw == b"null":
        raise FieldMissing("metadata")
    where = call.match.operation
    members = decode_members(raw, member_names(RestoreMetadata, where), at="metadata")
    return parse_object(members, RestoreMetadata, where=where, at="metadata")


_EPHEMERAL_BASE_IS_NAMED: Final = {
    "anyOf": [
        needs("base_branch"),
        {"required": ["base_is_ephemeral"], "properties": {"base_is_ephemeral": {"const": False}}},
        {"properties": {"base_is_ephemeral": {"type": "null"}, "ephemeral_base": {"enum": [False, None]}}},
    ]
}


def _restore_route(name: str, path: str) -> Route:
    return writing_branch(
        name,
        of_repo(path),
        restore,
        Description(
            "Commit an earlier tree on top of a branch",
            body=RestoreMetadata,
            body_media="application/json, application/x-ndjson",
            body_member="metadata",
            status=201,
            failures=(409,),
        ),
        errors=ErrorStyle.COMMIT_RESULT,
    )


ROUTES = (
    writing_branch(
        "create_commit",
        of_repo("commit-pack"),
        create_commit,
        Description(
            "Create a commit from a stream of files",
            body=CommitPackMetadata,
            body_media="application/x-ndjson",
            body_member="metadata",
            body_rules=(_EPHEMERAL_BASE_IS_NAMED,),
            body_lines=BlobChunkLine,
            status=201,
            failures=(409,),
        ),
        errors=ErrorStyle.COMMIT_RESULT,
    ),
    writing_branch(
        "diff_commit",
        of_repo("diff-commit"),
        commit_diff,
        Description(
            "Create a commit from a patch",
            body=CommitMetadata,
            body_media="application/x-ndjson",
            body_member="metadata",
            body_rules=(_EPHEMERAL_BASE_IS_NAMED,),
            body_lines=DiffChunkLine,
            status=201,
            failures=(409,),
        ),
        errors=ErrorStyle.COMMIT_RESULT,
    ),
    _restore_route("restore_commit", "restore-commit"),
    _restore_route("reset_commits", "reset-commits"),
)
