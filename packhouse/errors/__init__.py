"""Error families: what the caller may do about a failure, not where it happened.

A kind of failure is a class with a code and typed fields, beside the code that raises it:

    class BranchNotFound(NotFound):
        code = Code.BRANCH_NOT_FOUND
        branch: str

Its constructor takes the fields in their order; with `kw_only=True` after the family it takes them by name only. A
family has no code, so no family can be raised. Logs show the text of the code and the fields; `web/sentences.py` makes
the sentence that a user reads. No field holds a token, a credential or a signed address.
"""

from packhouse.errors.codes import Code
from packhouse.errors.kinds import (
    Conflict,
    Corrupt,
    Denied,
    FieldInvalid,
    FieldMissing,
    Invalid,
    LimitExceeded,
    NotFound,
    PackhouseError,
    PreconditionFailed,
    ServerBusy,
    TimedOut,
    Unauthenticated,
    Unavailable,
    WithReason,
    WithRetry,
)

__all__ = [
    "Code",
    "Conflict",
    "Corrupt",
    "Denied",
    "FieldInvalid",
    "FieldMissing",
    "Invalid",
    "LimitExceeded",
    "NotFound",
    "PackhouseError",
    "PreconditionFailed",
    "ServerBusy",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
    "WithReason",
    "WithRetry",
]
