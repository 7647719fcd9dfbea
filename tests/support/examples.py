"""Examples in documents: finds them on a page, and compares an answer with the printed one."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

ANY: Final = "…"
# An ellipsis outside a string is read as this character, which no text contains. So it can be printed again.
BARE: Final = "\ufdd0"

_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?P=indent)``` *$", re.DOTALL | re.MULTILINE
)
_METHODS: Final = "GET|HEAD|POST|PUT|PATCH|DELETE"
_REQUEST: Final = re.compile(rf"(?:{_METHODS}) /")
_COMMAND: Final = re.compile(
    rf"\s+(?:\$ )?(?:(?:curl|git|packhouse|python3?|make|openssl|\.venv/bin/\S+) |(?:{_METHODS}) /)"
)
# A command with one of these is a form to fill in: a word in capitals, a bracket, an ellipsis.
_PLACEHOLDER: Final = re.compile(r"(?<![\w$-])[A-Z][A-Z_]{2,}(?![\w=])|[<\[…]")

RUN: Final = ("http", "sh", "python")
# Kinds that are not run: answers, and text in these languages.
KINDS: Final = (*RUN, "json", "text", "sql")


@dataclass(frozen=True)
class Block:
    """A fenced block. `start` and `end` are the position of its text on the page. `indent` stands before each line."""

    kind: str
    text: str
    line: int
    start: int
    end: int
    indent: str

    @property
    def is_answer(self) -> bool:
        """Tell whether it shows an answer, if it follows an example."""
        return self.kind in ("json", "text") or (self.kind == "http" and self.text.startswith("HTTP/"))


@dataclass(frozen=True)
class Example:
    """A block to run, and the block with its answer, if the page has one directly behind it."""

    block: Block
    answer: Block | None


@dataclass(frozen=True)
class Request:
    """An HTTP request as a page prints it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Answer:
    """The printed parts of an answer; None for a part that is not printed. `is_json` tells how `body` is compared."""

    status: int | None
    headers: Mapping[str, str]
    body: str | None
    is_json: bool


def find_blocks(page: str) -> list[Block]:
    """Return every fenced block of a page."""
    return [
        Block(
            kind=match["kind"].strip(),
            text=textwrap.dedent(match["text"]),
            line=page.count("\n", 0, match.start()) + 1,
            start=match.start("text"),
            end=match.end("text"),
            indent=match["indent"],
        )
        for match in _FENCE.finditer(page)
    ]


def find_examples(page: str) -> list[Example]:
    """Return the examples in the order of the page. Only blank lines may stand between an example and its answer."""
    blocks = find_blocks(page)
    examples = []
    for block, following in zip(blocks, [*blocks[1:], None], strict=False):
        if block.kind not in RUN or block.is_answer:
            continue
        if following is None or not following.is_answer or not _is_directly_behind(page, block, following):
            following = None
        examples.append(Example(block, following))
    return examples


def _is_directly_behind(page: str, block: Block, following: Block) -> bool:
    return re.fullmatch(r"\s*```\s*```[a-z]+\n", page[block.end : following.start]) is not None


def find_unfenced_commands(page: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each command or request in an indented block, except forms to fill in."""
    lines = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), page).split("\n")
    for indented, numbered in groupby(enumerate(lines, 1), lambda pair: pair[1].startswith("    ")):
        block = list(numbered)
        if indented and not any(_PLACEHOLDER.search(line) for _, line in block):
            yield from ((number, line.strip()) for number, line in block if _COMMAND.match(line))


def parse_request(text: str) -> Request:
    """Read `METHOD target`, lines of headers, a blank line and a body."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.strip("\n").split("\n")
    assert _REQUEST.match(first), (
        f"an http block starts with a method and a path, or with HTTP/1.1: {first!r}"
    )
    method, _, target = first.partition(" ")
    return Request(method, target, _parse_headers(lines), body.rstrip("\n"))


def parse_answer(block: Block | None) -> Answer:
    """Read a printed answer. A problem has its status in its member `status`."""
    if block is None:
        return Answer(None, {}, None, is_json=False)
    if block.kind == "json":
        printed = parse_json(block.text)
        is_problem = (
            isinstance(printed, dict) and isinstance(printed.get("status"), int) and "title" in printed
        )
        return Answer(printed["status"] if is_problem else None, {}, block.text, is_json=True)
    if block.kind == "text":
        return Answer(None, {}, block.text, is_json=False)
    head, _, body = block.text.partition("\n\n")
    first, *lines = head.strip("\n").split("\n")
    return Answer(
        int(first.split()[1]), _parse_headers(lines), body or None, is_json=body.lstrip()[:1] in ("{", "[")
    )


def _parse_headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def parse_json(text: str) -> Any:
    """Read JSON with ellipses. A bare `…` stands for any value, in an object or array for further ones."""
    return json.loads(
        re.sub(r'("(?:[^"\\]|\\.)*")|…', lambda match: match[1] or f'"{BARE}"', _name_rest(text))
    )


def _name_rest(text: str) -> str:
    """Give the ellipsis at the end of an object a name, so that the text is JSON."""
    return re.sub(r"([{,]\s*)…(\s*\})", rf'\1"{BARE}": …\2', text)


def difference(printed: Any, actual: Any, place: str = "") -> str | None:
    """Return the first difference between an answer and the printed one, or None."""
    if printed == BARE:
        return None
    if isinstance(printed, dict) and isinstance(actual, dict):
        return _difference_of_objects(printed, actual, place)
    if isinstance(printed, list) and isinstance(actual, list):
        open_end = bool(printed) and printed[-1] == BARE
        wanted = printed[:-1] if open_end else printed
        if len(wanted) > len(actual) or (len(wanted) < len(actual) and not open_end):
            return f"{place}: {len(actual)} items, the page has {len(wanted)}"
        pairs = enumerate(zip(wanted, actual, strict=False))
        return next(filter(None, (difference(p, a, f"{place}[{n}]") for n, (p, a) in pairs)), None)
    if isinstance(printed, str) and isinstance(actual, str) and text_matches(printed, actual):
        return None
    same = type(printed) is type(actual) and printed == actual
    return None if same else f"{place}: {actual!r}, the page has {printed!r}"


def _difference_of_objects(printed: dict[str, Any], actual: dict[str, Any], place: str) -> str | None:
    wanted = {name: value for name, value in printed.items() if name != BARE}
    if missing := [name for name in wanted if name not in actual]:
        return f"{place}: without {missing}, which the page has"
    if BARE not in printed and (more := [name for name in actual if name not in wanted]):
        return f"{place}: has {more}, which the page lacks"
    return next(filter(None, (difference(v, actual[n], f"{place}.{n}") for n, v in wanted.items())), None)


def text_matches(printed: str, actual: str) -> bool:
    """Tell whether a text matches the printed one. There `…` stands for any text; alone in a line, for any lines.

    Between columns, two or more spaces match any number of them from two on. Spaces at the end of a line do not count.
    """
    lines = printed.strip("\n").split("\n")
    patterns = ("(?s:.*)" if line == ANY else _line_pattern(line) for line in lines)
    ends = re.sub(r"(?m) +$", "", actual).strip("\n")
    return re.fullmatch("\n".join(patterns), ends) is not None


def _line_pattern(line: str) -> str:
    columns = re.split(" {2,}", line)
    return " {2,}".join(re.escape(column).replace(ANY, "[^\n]*?") for column in columns)


def masked_like(printed: Any, actual: Any) -> Any:
    """Return the answer with the ellipses of the printed one, to be written onto the page."""
    if printed == BARE:
        return BARE
    if isinstance(printed, dict) and isinstance(actual, dict):
        kept = {name: masked_like(printed.get(name), value) for name, value in actual.items()}
        if BARE in printed:
            return {**{name: value for name, value in kept.items() if name in printed}, BARE: BARE}
        return kept
    if isinstance(printed, list) and isinstance(actual, list):
        if printed[-1:] == [BARE]:
            return [*map(masked_like, printed[:-1], actual), BARE]
        padded = [*printed[: len(actual)], *[None] * (len(actual) - len(printed))]
        return list(map(masked_like, padded, actual))
    if (
        isinstance(printed, str)
        and isinstance(actual, str)
        and ANY in printed
        and text_matches(printed, actual)
    ):
        return printed
    return actual


def print_json(value: Any) -> str:
    """Return JSON as pages have it, with bare ellipses."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.replace(f'"{BARE}": "{BARE}"', ANY).replace(f'"{BARE}"', ANY)
