"""A slot for a request whose client may leave while the request waits."""

import contextlib
from collections.abc import AsyncIterator

from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.shares import Holder
from packhouse.web.admission.slot import Slot
from packhouse.web.edge.wire_request import WireRequest


@contextlib.asynccontextmanager
async def slot_for_client(wire: WireRequest, limiter: Limiter, holder: Holder) -> AsyncIterator[Slot]:
    """Wait for a slot and hold it inside the block; raise ClientGone for a client that left meanwhile.

    The slot may cut the request's connection. Raises Unavailable as Limiter.slot() does.
    """
    async with limiter.slot(holder, wire.cut_connection) as slot:
        await wire.require_client()
        yield slot
