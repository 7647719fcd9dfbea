"""Request id and log: each request has an id, and one line in the log when it has ended."""

import time

from packhouse.log import request_id
from packhouse.web.edge.request_log import log_request
from packhouse.web.pipeline.exchange import Exchange, Proceed


async def log_exchange(exchange: Exchange, proceed: Proceed) -> None:
    """Mark all lines that the request logs with its id, and write the line of the request in every case."""
    wire, outgoing = exchange.wire, exchange.outgoing
    request_id.set(wire.id)  # the server gives each request a context of its own
    try:
        await proceed(exchange)
    finally:
        log_request(
            wire,
            exchange.call,
            exchange.outcome or ("client left" if outgoing.was_late else "request"),
            refused_path=exchange.refused_path,
            status=outgoing.status,
            bytes_out=outgoing.sent_bytes,
            seconds=time.monotonic() - exchange.started_at,
            reason=exchange.reason,
        )
