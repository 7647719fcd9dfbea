"""From a blocking iterator in worker threads to the asynchronous one that an answer sends."""

from collections.abc import AsyncGenerator, Iterator

from packhouse.web.call import Call


async def iter_in_threads(call: Call, pieces: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield what `pieces` yields, each step in a worker thread, and close `pieces` in every case.

    No thread is held between two pieces, so a slow client costs the memory of one piece.
    """
    try:
        while (piece := await call.in_thread(next, pieces, None)) is not None:
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            await call.in_thread(close)
