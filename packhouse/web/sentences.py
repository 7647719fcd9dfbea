"""Sentences for users: one for each code, filled with the fields of the error.

Nothing parses a sentence. A code without a row is shown as its text and its fields: `unknown file mode (mode 7)`.
"""

from collections.abc import Mapping
from typing import Final

from packhouse.errors import Code, PackhouseError

SENTENCE_MAX_CHARS: Final = 1000
VALUE_MAX_CHARS: Final = 300
_MULTIPLE_WORD: Final = " or "

SENTENCES: Final[Mapping[Code, str]] = {
    # requests in general
    Code.FIELD_MISSING: "field {field} is required",
    Code.FIELD_INVALID: "field {field}: {reason}",
    Code.SERVER_BUSY: "server is busy with other {work}, please retry later",
    # this server
    Code.REPO_NAME_INVALID: "invalid repository name: {reason}",
    Code.HISTORY_BEING_READ: "the history of this repository is still being read, please retry",
    Code.TOKEN_FILE_UNREADABLE: "the server's file of static tokens cannot be read",
    # stored packs
    Code.PACK_IDX_NOT_REBUILT: "storage not available, please retry later",  # the reason names files
    # tokens, policies and keys
    Code.SECRET_KEY_MISSING: "the key for stored secrets is missing on this server",
    Code.POLICY_DENIED: "denied by policy: {op} ({refname})",
    Code.POLICY_UNUSABLE: "token has invalid ref policy claims: {reason}",
    Code.SCOPE_MISSING: "token lacks the scope {needed}",
    # database
    Code.TRANSACTION_LOST: "too many concurrent writes to the same rows, please retry",
    Code.DATABASE_AWAY: "database not available",  # the reason names hosts and files
    Code.REPO_EXISTS: "repository {repo} already exists",
    Code.REPO_NOT_FOUND: "repository not found: {repo}",
    Code.PACK_NOT_INCOMING: "the write took too long, please retry",
    Code.JOURNAL_ROWS_GONE: "the repository is under maintenance, please retry",
    Code.LEASE_LOST: "the repository is under maintenance, please retry",
    Code.MAINTENANCE_UNDER_WAY: "the repository is under maintenance, please retry",
    Code.REF_MISMATCH: "{refname} is at {actual}, expected {expected}",
    Code.REF_NAME_CONFLICT: "{refname} conflicts with the existing ref {existing}",
    Code.DEFAULT_BRANCH_PROTECTED: "{refname} is the default branch and cannot be deleted",
    # names, ids and patterns
    Code.REF_NAME_INVALID: "invalid ref name {refname}",
    Code.BRANCH_NAME_INVALID: "invalid branch name {branch}",
    Code.TAG_NAME_INVALID: "invalid tag name {tag}",
    Code.NEW_NAME_REFUSED: "{refname} cannot be the name of a new branch or tag: {reason}",
    Code.NOT_AN_OBJECT_ID: "{value} is not an object id of 40 hex digits",
    Code.BAD_GLOB: "invalid glob {glob}: it {reason}",
    Code.TOO_MANY_GLOBS: "more than {globs_max} globs",
    # objects
    Code.DATE_INVALID: "{value} is not an ISO 8601 date",
    Code.TREE_TOO_LARGE: "the tree has more than {entries_max} files and folders, ask for pages or a folder",
    Code.OBJECT_MISSING: "object {oid} does not exist",
    # what clients send to git
    Code.PROTOCOL_ERROR: "{reason}",
    Code.HUNK_HEADER_UNREADABLE: (
        "the hunk header of line {line} ({header}) is not @@ -START,COUNT +START,COUNT @@"
    ),
    Code.LINE_OUTSIDE_HUNK: (
        "the hunk header of line {header_line} ({header}) counts other lines than follow, and line"
        " {line} begins with neither a blank, +, - nor a backslash"
    ),
    Code.HUNK_CUT_OFF: (
        "the patch seems cut off: the hunk header of line {line} ({header}) announces lines that do"
        " not follow"
    ),
    # the git program
    Code.PROGRAM_MISSING: "the server lacks the program {program}",
    Code.GIT_TOOK_TOO_LONG: "this took too long",
    Code.DIFF_TOO_MANY_FILES: "more than {files_max} files differ",
    # an opened repository
    Code.REPOSITORY_DAMAGED: (
        "the stored data of repository {repo} is damaged: {what} cannot be read; the server's"
        " operator has been told"
    ),
    Code.REPOSITORY_MENDED: "the stored data of repository {repo} was mended just now, please retry",
    Code.REF_NOT_FOUND: "ref {ref} does not exist",
    Code.REF_NAMES_NO_COMMIT: "{ref} names a {kind}, which is no commit",
    Code.REF_INVALID: "invalid ref {ref}",
    Code.ABBREVIATION_UNKNOWN: "abbreviated id {ref} is unknown or not unique",
    Code.PATH_NOT_FOUND: "path {path} does not exist",
    Code.KEY_TAKEN: "a request with this Idempotency-Key is in progress, please retry",
    Code.UNRELATED_HISTORIES: "the histories have no common ancestor",
    Code.MERGE_TOO_LARGE: "too much differs to be merged here, merge in a clone and push",
    Code.PATCH_DOES_NOT_APPLY: "patch does not apply: {reason}",
    Code.SOURCE_PACK_GONE: "the source changed while it was copied, please retry",
    Code.UPSTREAM_AWAY: "upstream not available: {reason}",
    Code.UPSTREAM_ADDRESS_REFUSED: "field base_repo.upstream_host: {reason}",
    Code.UPSTREAM_REJECTED: "upstream rejected the update of {refname}",
    # organisations and repositories
    Code.CREDENTIAL_NOT_FOUND: "credential {credential} not found",
    Code.DELETION_PENDING: "repository {repo} was deleted, its cleanup is pending",
    Code.NOTHING_TO_UPDATE: "nothing to update: give default_branch or expires_at",
    Code.NAME_PREFIX_INVALID: "prefix must have 1 to 255 bytes of UTF-8",
    Code.REF_POLICY_PRESENT: "a token with a ref policy cannot delete repositories by prefix",
    Code.EXPIRY_NOT_IN_FUTURE: "expires_at must be in the future",
    # branches, tags and the ref log
    Code.BRANCH_NOT_FOUND: "branch {branch} does not exist",
    Code.TAG_EXISTS: "tag {tag} already exists",
    Code.TAG_NOT_FOUND: "tag {tag} does not exist",
    # commits and merges
    Code.GUARD_MISMATCH: "branch {branch} is at {actual}, expected {expected}",
    Code.BRANCH_KEPT_MOVING: "branch {branch} kept moving while this was written, please retry",
    Code.BRANCH_HAS_WRITERS: "branch {branch} is busy with other writes, please retry",
    Code.NOTHING_TO_DELETE: (
        "nothing is called {path}: names that are not UTF-8 are shown with U+FFFD, delete them by path_base64"
    ),
    Code.MERGE_CONFLICT: "merge conflict",
    Code.TARGET_MOVED: "branch {branch} has moved to {actual}, look at it and merge again",
    Code.REPO_CHANGED: "the repository changed during the merge, please retry",
    Code.NOT_FAST_FORWARD: "{branch} cannot be fast-forwarded to {source}: it has commits of its own",
    # notes
    Code.NOTE_TOO_LARGE: "the note {oid} is larger than {max_bytes} bytes",
    Code.NOTES_REF_INVALID: "{notes_name} is no ref below refs/notes/",
    Code.NOTES_REF_NOT_FOUND: "notes ref {refname} does not exist",
    Code.NOTE_NOT_FOUND: "no note for object {oid}",
    Code.NOTE_EXISTS: "object {object_oid} has a note already, append to it or remove it first",
    Code.NOTE_MISSING: "no note for object {object_oid}",
    Code.NOTES_GUARD_MISMATCH: "{notes_ref} is at {actual}, expected {expected}",
    Code.NOTES_REF_CONFLICT: "{notes_ref} conflicts with the existing ref {existing}",
    Code.NOTES_REF_UNUSABLE: "{notes_ref} is at {actual}, which is no commit: delete or move it with git",
    Code.NOTES_REF_BUSY: "{notes_ref} kept moving while this was written, please retry",
    # reading
    Code.NOT_A_FOLDER: "{ref} names a file, not a folder: there is no {path} in it, leave path out",
    Code.BAD_RANGE: "invalid range: {reason}",
    Code.TOO_MANY_RANGES: "more than {ranges_max} ranges",
    Code.BLAME_TOO_LONG: "blame of more than {lines_max} lines, ask for ranges",
    Code.BLAME_FILE_TOO_LARGE: "blame takes files of at most {max_bytes} bytes",
    Code.DIFF_TOO_LARGE: "too much differs to be shown at once, ask for single paths",
    Code.BAD_PATTERN: "invalid pattern: {reason}",
    Code.MESSAGES_TOO_LONG: (
        "the messages of these commits take more than {max_bytes} bytes: ask for pages, with a limit"
    ),
    # events, webhooks and jobs
    Code.EVENTS_FORGOTTEN: (
        "events after {last_event_id} are no longer kept: read the state, then listen anew"
    ),
    Code.EVENT_UNKNOWN: "unknown event {event}",
    Code.WEBHOOK_NOT_FOUND: "webhook {webhook} not found",
    # fetches and pushes
    Code.GIT_NOT_STARTED: "server cannot start git now, please retry later",  # the reason is the operator's
    Code.NEW_OBJECTS_NOT_TAKEN: "storage not available, please retry later",
    # HTTP requests
    Code.API_VERSION_UNKNOWN: "API version {version} is not served, use v1",
    Code.METHOD_NOT_ALLOWED: "{method} is not allowed here, allowed: {allow}",
    Code.BODY_TOO_LARGE: "request body is larger than {max_bytes} bytes",
    Code.CLIENT_STALLED: "nothing of the request body arrived for {stall_max_s} seconds",
    Code.ENCODING_UNKNOWN: "content encoding {encoding} is not accepted here",
    Code.UNSUPPORTED_MEDIA_TYPE: "the content type of this request must be {expected}",
    Code.KEY_REUSED: "this Idempotency-Key was used for another request, use a new one",
    Code.KEY_LENGTH_INVALID: "Idempotency-Key must have 1 to {max_chars} characters",
    Code.OBJECT_EXPECTED: "expected a JSON object in {field}",
    Code.JSON_INVALID: "request body is not valid JSON: {reason}",
    Code.JSON_TOO_LARGE: "a member of the request body holds more than {values_max} values",
    Code.PARAMETER_MISSING: "parameter {field} is required",
    Code.QUERY_NOT_UTF8: "the query is not valid UTF-8: give a path of other bytes as path_base64",
    Code.QUERY_TOO_LONG: "query has more than {fields_max} parameters",
    Code.PARAMETER_NOT_A_BOOLEAN: "parameter {field} must be true or false, not {value}",
    Code.PARAMETER_NOT_A_NUMBER: "parameter {field} must be a whole number, not {value}",
    Code.LIMIT_NEGATIVE: "limit must not be negative",
    Code.PATHS_DIFFER: "{field} and {field}_base64 name different paths",
    Code.FIELD_NOT_BASE64: "{field} is not base64",
    Code.RELEASED_SCOPE_MISSING: "token lacks the scope {needed}",
    # calls of the API
    Code.RANGE_NOT_SATISFIABLE: "no byte of this range exists, the file has {size_bytes} bytes",
    Code.SHUTTING_DOWN: "server is shutting down",
}


def write_sentence(error: PackhouseError) -> str:
    """Return the sentence for an error, one line of at most SENTENCE_MAX_CHARS characters.

    A row may name a field that the error leaves out. Then the text of the code is the sentence.
    """
    values = {name: show_value(value) for name, value in error.fields.items()}
    text, row = error.code.value, SENTENCES.get(error.code)
    if row is not None:
        try:
            return row.format_map(values)[:SENTENCE_MAX_CHARS]
        except KeyError:
            return text
    facts = ", ".join(f"{name} {value}" for name, value in values.items())
    return (f"{text} ({facts})" if facts else text)[:SENTENCE_MAX_CHARS]


def show_value(value: object) -> str:
    """Return a field's value as users read it: short and printable, a branch by its plain name."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
    elif isinstance(value, list | tuple | set | frozenset):
        text = _MULTIPLE_WORD.join(map(str, value))
    else:
        text = "nothing" if value is None else str(value)
    text = text.encode("utf-8", "replace").decode("utf-8")[:VALUE_MAX_CHARS]
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return shown.removeprefix("refs/heads/") if isinstance(value, bytes) else shown
