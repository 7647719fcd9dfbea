"""Error families: what the caller may do about a failure, not where it happened.

A kind of failure is a class with a code and typed fields, beside the code that raises it:

    class BranchNotFound(NotFound):
        code = Code.BRANCH_NOT_FOUND
        branch: str

Its constructor takes the fields in their order; with `kw_only=True` after the family it takes them by name only. A
family has no code, so no family can be raised. Logs show the text of the code and the fields; `web/sentences.py` makes
the sentence that a user reads. No field holds a token, a credential or a signed address.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Protocol, dataclass_transform, runtime_checkable

from packhouse.error_codes import Code


@dataclass_transform(eq_default=False, field_specifiers=(dataclasses.field,))
class PackhouseError(Exception):
    """Base of every failure that is an answer and not a bug."""

    code: ClassVar[Code]
    _defaults: ClassVar[Mapping[str, object]] = {}

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message)
        self._message = message
        self._fields = fields

    def __init_subclass__(cls, *, kw_only: bool = False) -> None:
        super().__init_subclass__()
        if "code" not in cls.__dict__ and "__annotations__" not in cls.__dict__:
            return
        made = dataclasses.dataclass(eq=False, repr=False, kw_only=kw_only)(cls)
        shown = [one for one in dataclasses.fields(made) if one.repr]  # type: ignore[arg-type]  # it is a dataclass now
        cls._defaults = {one.name: one.default for one in shown}

    @property
    def message(self) -> str:
        """The constant text of the failure, for logs."""
        return self._message if "_message" in self.__dict__ else self.code.value

    @property
    def fields(self) -> Mapping[str, object]:
        """What logs show beside the text: values by name, without those that are at their default."""
        if "_fields" in self.__dict__:
            return self._fields
        values = {name: getattr(self, name) for name in self._defaults}
        return {name: value for name, value in values.items() if value != self._defaults[name]}

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"{self.message} ({facts})" if facts else self.message

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _make_blank, (type(self),), self.__dict__


def _make_blank(kind: type[PackhouseError]) -> PackhouseError:
    """Return an error whose fields its copy or its pickle sets afterwards."""
    return kind.__new__(kind)


@runtime_checkable
class WithReason(Protocol):
    """An error that tells why; None when the system gave no reason."""

    @property
    def reason(self) -> str | None: ...


class Invalid(PackhouseError):
    """The request is wrong in itself. Fix it, then send it again."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class Unauthenticated(PackhouseError):
    """Nobody we know signed this call. Get a valid token."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class Denied(PackhouseError):
    """The caller is known, but may not do this."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class NotFound(PackhouseError):
    """The thing named by the request does not exist, or no longer."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class Conflict(PackhouseError):
    """The state is not what the request assumed. Re-read, then decide again."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class PreconditionFailed(Conflict):
    """A guard that the caller gave explicitly does not hold."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class LimitExceeded(PackhouseError):
    """The request is larger than a limit of this server."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class TimedOut(PackhouseError):
    """The work took longer than its time limit, or the client stalled."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class Unavailable(PackhouseError):
    """Something this server needs is away. Retry this very call later."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class Corrupt(PackhouseError):
    """Stored data is not what was written. An operator must look."""

    def __init__(self, message: str = "", /, **fields: object) -> None:
        super().__init__(message, **fields)


class FieldMissing(Invalid):
    """A member, parameter or argument is absent. `field` is its name on the wire."""

    code = Code.FIELD_MISSING
    field: str


class FieldInvalid(Invalid, kw_only=True):
    """A member, parameter or argument has a value that it cannot have. `field` is its name on the wire."""

    code = Code.FIELD_INVALID
    field: str
    reason: str


class ServerBusy(Unavailable):
    """As much of that work as may run at once is running or waiting."""

    code = Code.SERVER_BUSY
    work: str
    retry_after_s: int
