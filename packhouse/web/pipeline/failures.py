"""Failures: an answer in the form of the route, or the end of the connection when an answer has begun."""

import asyncio

from packhouse.errors import Code, Unavailable
from packhouse.web.edge.body import ClientGone
from packhouse.web.edge.responses import ClientLeft, ResponseAborted
from packhouse.web.errors import log_failure, render_failure
from packhouse.web.pipeline.exchange import Exchange, Proceed

CLIENT_LEFT = "client left"
CUT_SHORT = "answer cut short"


class ShuttingDown(Unavailable):
    """The server is ending, and its grace period for requests is over."""

    code = Code.SHUTTING_DOWN
    retry_after_s: int


async def answer_failures(exchange: Exchange, proceed: Proceed) -> None:
    """Turn every failure into an answer. A client that has gone gets none."""
    try:
        await proceed(exchange)
    except (ClientGone, ResponseAborted):
        raise
    except Exception as error:  # noqa: BLE001  # render_failure knows our errors, and logs all others
        exchange.answer = render_failure(exchange.wire, exchange.call, error, exchange.style)


async def end_broken(exchange: Exchange, proceed: Proceed) -> None:
    """Answer a failure while nothing has been sent; cut the connection of an answer that cannot be completed."""
    try:
        await proceed(exchange)
    except (ClientGone, ClientLeft):
        exchange.outcome = CLIENT_LEFT
        await _cut_connection(exchange)
    except ResponseAborted as error:
        exchange.outcome, exchange.reason = CUT_SHORT, str(error)
        await _cut_connection(exchange)
    except asyncio.CancelledError:
        # Only the end of the server's grace period cancels requests.
        await _fail(exchange, ShuttingDown(1))
    except Exception as error:  # noqa: BLE001  # every failure is answered and logged
        await _fail(exchange, error)


async def _fail(exchange: Exchange, error: BaseException) -> None:
    """Answer a failure that came before the answer began, or cut an answer that has begun."""
    status = exchange.outgoing.status
    if status:
        exchange.outcome = CUT_SHORT
        log_failure(exchange.call, error, status)
        await _cut_connection(exchange)
        return
    answer = render_failure(exchange.wire, exchange.call, error, exchange.style)
    answer.headers["Connection"] = "close"
    await exchange.send(answer)


async def _cut_connection(exchange: Exchange) -> None:
    """Cut the connection, so that the client sees that the body is not whole."""
    cut = exchange.wire.cut_connection
    if cut is not None:
        cut()
        await asyncio.sleep(0)  # the server learns of the lost connection before this task ends
