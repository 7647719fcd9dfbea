"""The families of errors, and the kinds of failure that every layer raises."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Protocol, dataclass_transform, runtime_checkable

from packhouse.errors.codes import Code


@dataclass_transform(eq_default=False, field_specifiers=(dataclasses.field,))
@dataclasses.dataclass(init=False, eq=False, repr=False)
class PackhouseError(Exception):
    """Base of every failure that is an answer and not a bug."""

    _defaults: ClassVar[Mapping[str, object]] = {}

    def __init__(self) -> None:
        super().__init__()

    def __init_subclass__(cls, *, kw_only: bool = False) -> None:
        super().__init_subclass__()
        if "__annotations__" not in cls.__dict__:
            return  # no field of its own: the constructor of its base fits, and making one costs start-up time
        made = dataclasses.dataclass(eq=False, repr=False, kw_only=kw_only)(cls)
        shown = [one for one in dataclasses.fields(made) if one.repr]
        cls._defaults = {one.name: one.default for one in shown}

    @property
    @abstractmethod
    def code(self) -> Code:
        """What has failed. A class sets it; a family leaves it out."""

    @property
    def fields(self) -> Mapping[str, object]:
        """What logs show beside the text: values by name, without those that are at their default."""
        values = {name: getattr(self, name) for name in self._defaults}
        return {name: value for name, value in values.items() if value != self._defaults[name]}

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"{self.code.value} ({facts})" if facts else self.code.value

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


@runtime_checkable
class WithRetry(Protocol):
    """An error that tells after how many seconds the call may be sent again."""

    @property
    def retry_after_s(self) -> int: ...


class Invalid(PackhouseError):
    """The request is wrong in itself. Fix it, then send it again."""


class Unauthenticated(PackhouseError):
    """The call has no valid token. Get one, then send the call again."""


class Denied(PackhouseError):
    """The caller is known, but may not do this."""


class NotFound(PackhouseError):
    """The thing that the request names does not exist, or exists no longer."""


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


class FieldMissing(Invalid):
    """A member, parameter or argument is absent. `field` is its name on the wire.

    An operation names a field of its command. The name on the wire is the same.
    """

    code = Code.FIELD_MISSING
    field: str


class FieldInvalid(Invalid, kw_only=True):
    """A member, parameter or argument has a value that it cannot have. `field` is as in FieldMissing."""

    code = Code.FIELD_INVALID
    field: str
    reason: str


class ServerBusy(Unavailable):
    """No more work of this kind may run or wait now. `work` names the kind."""

    code = Code.SERVER_BUSY
    work: str
    retry_after_s: int
