"""What a handler returns, and the struct that its annotation names."""

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, ParamSpec, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)

encode_body: Final = msgspec.json.Encoder().encode
"""Return a struct as JSON."""


@dataclass(frozen=True, slots=True)
class Reply(Generic[R]):
    """A reply struct, with details that its route does not tell.

    `status` is the status of the route's description unless given. `is_by_id` tells that every input was a full object
    id, so that the reply never changes. An expression such as `<id>~1` is not an id here. `text` is the body as JSON
    when a worker thread has made it. `pieces` are the JSON of a body that is too large to be made at once: the last
    lists of `body` are empty then, and the pieces contain their items.
    """

    body: R
    status: int | None = None
    is_by_id: bool = False
    text: bytes | None = None
    pieces: AsyncIterator[bytes] | None = None

    def encode(self) -> bytes:
        """Return the body as JSON. The reply has no `pieces`."""
        assert self.pieces is None, "the body is not whole"
        return encode_body(self.body) if self.text is None else self.text


def encode_reply(body: R, *, is_by_id: bool = False) -> Reply[R]:
    """Return the reply with its JSON made. Call it in a worker thread, where a large body delays no other request."""
    return Reply(body, is_by_id=is_by_id, text=encode_body(body))


def then(operation: Callable[P, T], render: Callable[[T], S]) -> Callable[P, S]:
    """Return a function that runs the operation and renders its result, so that one worker thread does both."""

    def run(*args: P.args, **kwargs: P.kwargs) -> S:
        return render(operation(*args, **kwargs))

    return run


def or_unset(value: T | None) -> T | UnsetType:
    """Return the value of a member, UNSET for None: the member is absent then rather than null."""
    return UNSET if value is None else value


Returned = msgspec.Struct | Reply[Any] | Response | None
"""The result of a handler that runs its operation by itself: None for an answer without a body, a Response for files
and streams."""


def find_reply_type(handler: Callable[..., Any]) -> type[msgspec.Struct] | None:
    """Return the struct that a handler's annotation names; None for a Response and for an answer without a body."""
    promised = inspect.signature(handler, eval_str=True).return_annotation
    if get_origin(promised) is not None:
        (promised,) = get_args(promised)
    return promised if isinstance(promised, type) and issubclass(promised, msgspec.Struct) else None
