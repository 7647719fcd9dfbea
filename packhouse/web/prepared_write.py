"""Writes that a handler has prepared: what is to be done, and how its result is told.

The pipeline runs them, so that no handler can forget the branch queue or the kept answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from packhouse.auth import Principal
from packhouse.git import RefName
from packhouse.node import Node
from packhouse.repository import Receipt
from packhouse.web.reply import Reply

C_contra = TypeVar("C_contra", contravariant=True)
T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)


class WriteVerb(Protocol[C_contra, T]):
    """An operation that writes, and keeps the answer with what it wrote when it gets a receipt."""

    def __call__(
        self, node: Node, caller: Principal, command: C_contra, /, *, receipt: Receipt[T] | None
    ) -> T:
        """Do it, and return what the answer tells."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedWrite(Generic[R]):
    """One write. `operation` runs in a worker thread, with a receipt when the request has an idempotency key.

    `render` makes the reply from the result of the operation and may look at nothing else that changes: with a receipt
    it is called within the transaction as well, so that the answer is kept with what was written. `discard` removes
    what the handler has prepared, and runs in a worker thread when the write does not come to its end.
    """

    operation: Callable[[Receipt[Any] | None], Any]
    render: Callable[[Any], R | Reply[R]]
    discard: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchWrite(PreparedWrite[R]):
    """A write that moves a branch, and waits in the queue of that branch until it may run."""

    namespace: str
    refname: RefName
