"""Where a search file by file continues after a file that takes too long, and where it ends."""

from collections.abc import Generator, Sequence

import pytest

from packhouse.errors import TimedOut
from packhouse.git.commands.grep import GrepLine
from packhouse.git.commands.pump import GitSilent, GitTookTooLong
from packhouse.git.objects.tree_walk import PathEntry
from packhouse.git.oid import Oid
from packhouse.operations.reading.grep_slow import Passage, iter_file_by_file

pytestmark = pytest.mark.quick

FILES = [PathEntry(name.encode(), 0o100644, Oid("a" * 40)) for name in "abcdef"]


class Search:
    """Finds one line in each file that is not slow. Its time is over after some files."""

    def __init__(self, slow: str = "", files_max: int = 99) -> None:
        self.slow = slow.encode()
        self.left = files_max
        self.started = 0

    def __call__(self, files: Sequence[PathEntry]) -> Generator[GrepLine]:
        self.started += 1
        if self.left <= 0:
            raise GitTookTooLong()
        for number, file in enumerate(files):
            yield GrepLine(b"%09d" % (2 * number), 1, b"marker", True)
            if self.left <= 0:
                raise GitTookTooLong()
            self.left -= 1
            if file.path in self.slow:
                raise GitSilent
            yield GrepLine(b"%09d" % (2 * number + 1), 1, b"text", True)


def run(search: Search) -> tuple[str, str, str]:
    """Return the files that were found, skipped and not reached."""
    passage = Passage()
    found = b"".join(line.path for line in iter_file_by_file(FILES, search, passage))
    unreached = b"" if passage.unreached is None else passage.unreached.path
    return found.decode(), b"".join(file.path for file in passage.skipped).decode(), unreached.decode()


def test_slow_files_are_passed_over_and_all_others_searched() -> None:
    assert run(Search()) == ("abcdef", "", "")
    assert run(Search("c")) == ("abdef", "c", "")
    assert run(Search("af")) == ("bcde", "af", "")
    assert run(Search("abcdef")) == ("", "abcdef", "")


def test_no_search_begins_without_files_left() -> None:
    search = Search("f")
    run(search)
    assert search.started == 1


def test_the_end_of_the_time_names_the_first_file_that_was_not_reached() -> None:
    assert run(Search(files_max=3)) == ("abc", "", "d")
    assert run(Search("b", files_max=3)) == ("ac", "b", "d")
    assert run(Search("c", files_max=3)) == ("ab", "c", "d")
    assert run(Search(files_max=6)) == ("abcdef", "", "")


def test_one_file_is_passed_over_when_the_time_is_over_in_the_first() -> None:
    class Endless(Search):
        def __call__(self, files: Sequence[PathEntry]) -> Generator[GrepLine]:
            yield GrepLine(b"000000000", 1, b"marker", True)
            raise GitTookTooLong()

    assert run(Endless()) == ("", "a", "b")


def test_a_search_without_any_marker_has_failed() -> None:
    with pytest.raises(TimedOut):
        run(Search(files_max=0))
