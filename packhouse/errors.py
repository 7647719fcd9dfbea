"""Error families: what the caller may do about a failure, not where it happened.

A message is short, constant and factual; values are fields, so that logs group and `web/errors.py` alone
writes the sentence a user reads. Neither may hold a token, a credential or a signed address.
"""


class PackhouseError(Exception):
    """Base of every failure that is an answer and not a bug."""

    def __init__(self, message: str, /, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        if not self.fields:
            return self.message
        return f"{self.message} ({', '.join(f'{name}={value!r}' for name, value in self.fields.items())})"


class Invalid(PackhouseError):
    """The request is wrong in itself. Fix it, then send it again."""


class Unauthenticated(PackhouseError):
    """Nobody we know signed this call. Get a valid token."""


class Denied(PackhouseError):
    """The caller is known, but may not do this."""


class NotFound(PackhouseError):
    """The thing named by the request does not exist, or no longer."""


class Conflict(PackhouseError):
    """The state is not what the request assumed. Re-read, then decide again."""


class PreconditionFailed(Conflict):
    """A guard that the caller gave explicitly does not hold."""


class LimitExceeded(PackhouseError):
    """The request is larger than a limit of this server."""


class TimedOut(PackhouseError):
    """The work took longer than its time limit, or the client stalled."""


class Unavailable(PackhouseError):
    """Something this server needs is away. Retry this very call later."""


class Corrupt(PackhouseError):
    """Stored data is not what was written. An operator must look."""
