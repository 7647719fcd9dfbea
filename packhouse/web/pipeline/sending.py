"""Sending: the answer goes out once the client has sent its body, or as much of it as the server reads for nothing."""

from packhouse import limits
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.pipeline.exchange import Exchange, Proceed


async def send_answer(exchange: Exchange, proceed: Proceed) -> None:
    """Send the answer of the inner stages. Close the connection after it if the body was not read whole."""
    await proceed(exchange)
    answer = exchange.answer
    assert answer is not None, "the pipeline gave no answer"
    try:
        if not await exchange.wire.upload.drain(limits.refused_body_drain_max_bytes):
            answer.headers["Connection"] = "close"
    except BaseException:
        if isinstance(answer, StreamResponse):
            await answer.close()
        raise
    await exchange.send(answer)
