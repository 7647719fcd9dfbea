"""The families of errors, and the kinds of failure that every layer raises."""

import dataclasses
import threading
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol, Self, dataclass_transform, runtime_checkable

from packhouse.errors.codes import Code

_completing: Final = threading.Lock()
_completed: Final[set[type]] = set()


@dataclass_transform(eq_default=False, field_specifiers=(dataclasses.field,))
@dataclasses.dataclass(init=False, eq=False, repr=False)
class PackhouseError(Exception):
    """Base of every failure that is an answer and not a bug.

    Each class is a dataclass. It becomes one when its first error is made, since making all of them at the start takes
    time.
    """

    _defaults: ClassVar[Mapping[str, object]] = {}
    _kw_only: ClassVar[bool] = False

    def __new__(cls, *args: Any, **_named: Any) -> Self:
        """Return an error without its fields."""
        if cls not in _completed:
            _complete(cls)
        return super().__new__(cls, *args)

    def __init__(self) -> None:
        super().__init__()

    def __init_subclass__(cls, *, kw_only: bool = False) -> None:
        super().__init_subclass__()
        cls._kw_only = kw_only

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


def _complete(kind: type[PackhouseError]) -> None:
    """Make a class and its bases dataclasses. A class without a field of its own has the constructor of its base."""
    with _completing:
        for base in reversed(kind.__mro__):
            if issubclass(base, PackhouseError) and base not in _completed:
                if "__annotations__" in vars(base):
                    _make_dataclass(base)
                _completed.add(base)


def _make_dataclass(kind: type[PackhouseError]) -> None:
    made = dataclasses.dataclass(eq=False, repr=False, kw_only=kind._kw_only)(kind)
    kind._defaults = {one.name: one.default for one in dataclasses.fields(made) if one.repr}


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
