"""JSON of a reply that ends in long lists, made piece by piece.

As structs and as JSON, the patches of a large diff take several times their size. So one item is made at a time here.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec


def iter_pieces(
    head: msgspec.Struct, lists: Mapping[str, Iterable[msgspec.Struct]], *, piece_bytes: int
) -> Iterator[bytes]:
    """Yield the JSON of `head` with the items of `lists`. All pieces but the last have at least `piece_bytes`.

    `lists` are the last members of `head`, in the same order. They are empty in `head` itself.
    """
    waiting: list[bytes] = []
    size_bytes = 0
    for part in _iter_parts(head, lists):
        waiting.append(part)
        size_bytes += len(part)
        if size_bytes >= piece_bytes:
            yield b"".join(waiting)
            waiting, size_bytes = [], 0
    if waiting:
        yield b"".join(waiting)


def _iter_parts(head: msgspec.Struct, lists: Mapping[str, Iterable[msgspec.Struct]]) -> Iterator[bytes]:
    encode = msgspec.json.encode
    text = encode(head)
    end = (",".join(f'"{name}":[]' for name in lists) + "}").encode("ascii")
    assert text.endswith(end), "the lists are the last members of the reply, and empty"
    yield text.removesuffix(end)
    for number, (name, items) in enumerate(lists.items()):
        yield f'{"," if number else ""}"{name}":['.encode("ascii")
        for place, item in enumerate(items):
            yield (b"," if place else b"") + encode(item)
        yield b"]"
    yield b"}"
