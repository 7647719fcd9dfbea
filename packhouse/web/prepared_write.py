"""Writes that a handler has prepared: the operation to run, and how its result becomes a reply.

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
    """An operation that writes. With a receipt it keeps the answer in the same transaction."""

    def __call__(
        self, node: Node, caller: Principal, command: C_contra, /, *, receipt: Receipt[T] | None
    ) -> T:
        """Run the operation and return its result."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedWrite(Generic[R]):
    """One write. `operation` runs in a worker thread, with a receipt when the request has an idempotency key.

    `render` makes the reply from the result of the operation alone. With a receipt it is called within the transaction,
    so that the answer is kept with the data. `discard` removes what the handler has prepared. It runs in a worker
    thread when the write does not reach its end.
    """

    operation: Callable[[Receipt[Any] | None], Any]
    render: Callable[[Any], R | Reply[R]]
    discard: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchWrite(PreparedWrite[R]):
    """A write that moves a branch, and waits in the queue of that branch until it may run."""

    namespace: str
    refname: RefName
