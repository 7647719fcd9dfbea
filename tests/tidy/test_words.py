"""Words that were given up: the field has another word, or the word meant several things.

docs/style.md names the words in their place. The changelog and the decision records are about the past and keep them.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, place, project_files

pytestmark = pytest.mark.quick

GIVEN_UP = {
    "limiter": ("lane", "lanes"),
    "slot, place in a queue, writer lock": ("turn", "turns"),
    "park": ("lend", "lends", "lending", "lent"),
    "commit, be written": ("land", "lands", "landed", "landing"),
    "new pack, temporary file": ("draft", "drafts"),
}
"""The word to use, and the words that it replaces."""

PERMITTED = re.compile(
    r"\bin turns?\b|_in_turns(?![a-z])|tak(?:e|es|ing)[ _]turns(?![a-z])|\btook turns\b"
    r"|(?<!\ba )(?<!\bthe )(?<!\bits )(?<![a-z])[Tt]urn(?:s|ed|ing)?(?![a-z])"
    r"[^.;]*?(?<![a-z])(?:into|to|out|on|off|true|round)(?![a-z])"
    r"|\bdraft-[a-z]+-|\bIETF draft\b|Draft\d+Validator"
    r'|"turn-\{'  # a file name of the first release: servers of two releases may share a data folder
    r"|clone -b draft\b"
)
"""Phrases in which a given-up word is an ordinary one, the name of something outside, or data."""

BRANCH_NAMES = ("draft", "drafts", "from_draft")
"""Names that branches of tests may have."""

CHECKED = ("packhouse", "tests", "bench", "docs")
HISTORY = ("docs/decisions", "docs/style.md", "tests/tidy/test_words.py")
_SUFFIXES = {".py", ".md", ".sql"}


def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that finds the words alone, between underscores, and as parts of names like `LandedCommit`."""
    capital = "|".join(word.capitalize() for word in words)
    return re.compile(rf"(?<![A-Za-z])(?:{'|'.join(words)})(?![a-z])|(?:{capital})(?![a-z])")


def find_given_up(text: str) -> list[str]:
    """Return the replacements of the given-up words in one line of text."""
    rest = PERMITTED.sub("", text)
    return [better for better, words in GIVEN_UP.items() if _pattern(words).search(rest)]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of prose and names.

    A plain string of a test or a benchmark is data, such as the name of a branch.
    """
    text = path.read_text("utf-8")
    is_data = path.suffix == ".py" and path.relative_to(ROOT).parts[0] in {"tests", "bench"}
    if not is_data:
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string in BRANCH_NAMES:
            continue
        if token.type in (tokenize.NAME, tokenize.COMMENT) or token.string.startswith('"""'):
            yield from enumerate(token.string.splitlines(), token.start[0])


def _checked_files() -> list[Path]:
    return [
        path
        for path in project_files()
        if path.suffix in _SUFFIXES
        and path.relative_to(ROOT).parts[0] in CHECKED
        and not path.relative_to(ROOT).as_posix().startswith(HISTORY)
    ]


def test_no_line_has_a_word_that_was_given_up() -> None:
    found = [
        f"{place(path, number)}: say {', '.join(better)}: {line.strip()[:80]}"
        for path in _checked_files()
        for number, line in _lines(path)
        if (better := find_given_up(line))
    ]
    assert not found, "\n".join(found)


def test_no_file_name_has_a_word_that_was_given_up() -> None:
    found = [str(path.relative_to(ROOT)) for path in _checked_files() if find_given_up(path.stem)]
    assert not found, found


FOUND = (
    "a lane / Lane / SlowLane / write_turns / its turn / Turns / is_lent / lend( / LandedCommit / landed / PackDraft"
    " / pack_draft / drafts / it takes a turn to fetch / wait for the turn into which"
)
FREE = (
    "return / Return it in turn / each in turns / turn into / turned off / Turns tokens into principals / calendar"
    " / island / planes / overturned / lender / taking turns / draft-ietf-httpapi / upland / turn a limit off"
    " / test_the_changes_turn_one_tree_into_the_other"
)


@pytest.mark.parametrize("text", FOUND.split(" / "))
def test_a_given_up_word_is_found_alone_and_in_names(text: str) -> None:
    assert find_given_up(text)


@pytest.mark.parametrize("text", FREE.split(" / "))
def test_ordinary_phrases_and_longer_words_are_not_found(text: str) -> None:
    assert not find_given_up(text)


def test_no_sentence_is_written_again_as_the_style_page_shows_it_before() -> None:
    page = (ROOT / "docs/style.md").read_text("utf-8").partition("\n## Plain sentences\n")[2]
    before = [row.split(" | ")[0].removeprefix("| ") for row in page.splitlines() if row.startswith("| ")][2:]
    assert len(before) >= 12
    texts = {path: " ".join(path.read_text("utf-8").split()) for path in _checked_files()}
    found = [
        f"{path.relative_to(ROOT)}: {sentence}"
        for path, text in texts.items()
        for sentence in before
        if sentence in text
    ]
    assert not found, found
