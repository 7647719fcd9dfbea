"""Hunk headers that count wrongly are put right, as often as it is clear which lines a hunk has."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.errors import Invalid, LimitExceeded
from packhouse.git.wire.patch_hunks import (
    WrongCounts,
    find_header,
    find_wrong_counts,
    missing_end,
    with_right_counts,
)
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

FILE = "--- a/f\n+++ b/f\n"
BODY = " a\n-b\n+c\n+d\n e\n"


def lines_of(text: str) -> list[bytes]:
    return text.encode().splitlines(keepends=True)


def find(text: str) -> list[WrongCounts]:
    return find_wrong_counts(lines_of(text))


def mended(text: str, *, keeps_blank_lines: bool = False) -> str:
    lines = lines_of(text)
    return b"".join(
        with_right_counts(lines, find_wrong_counts(lines), keeps_blank_lines=keeps_blank_lines)
    ).decode()


@pytest.mark.parametrize("git_line", ["", "diff --git a/f b/f\n"])
def test_right_counts_are_no_fault(git_line: str) -> None:
    assert find(git_line + FILE + "@@ -1,3 +1,4 @@ def f():\n" + BODY) == []


def test_a_missing_count_means_one() -> None:
    assert find(FILE + "@@ -1 +1 @@\n-a\n+b\n") == []
    (fault,) = find(FILE + "@@ -1 +1 @@\n-a\n+b\n+c\n")
    assert fault.counted == (1, 2)


@pytest.mark.parametrize("header", ["-1,9 +1,9", "-1,1 +1,1", "-1,3 +1,3", "-1,2 +1,4", "-1 +1,40"])
def test_any_wrong_counts_are_corrected(header: str) -> None:
    text = FILE + f"@@ {header} @@ def f():\n" + BODY
    (fault,) = find(text)
    assert (fault.line, fault.counted, fault.blank_lines) == (3, (3, 4), 0)
    assert mended(text) == FILE + "@@ -1,3 +1,4 @@ def f():\n" + BODY


def test_each_wrong_header_is_reported_with_its_line() -> None:
    text = FILE + "@@ -1,9 +1,9 @@\n" + BODY + "@@ -20,3 +21,4 @@\n" + BODY + "@@ -40,1 +41,1 @@\n" + BODY
    faults = find(text)
    assert [fault.line for fault in faults] == [3, 15]
    assert (
        str(faults[0]) == "the hunk header of line 3 (@@ -1,9 +1,9 @@) is followed by 3 old and 4 new lines"
    )


def test_a_line_without_a_line_feed_counts_like_any_other() -> None:
    tail = "-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n"
    assert find(FILE + "@@ -1,2 +1,2 @@\n a\n" + tail) == []
    (fault,) = find(FILE + "@@ -1,4 +1,4 @@\n a\n" + tail)
    assert fault.counted == (2, 2)


def test_blank_lines_behind_a_wrong_hunk_can_be_context_or_not() -> None:
    text = FILE + "@@ -1,7 +1,7 @@\n" + BODY + "\n\n" + "diff --git a/g b/g\n"
    (fault,) = find(text)
    assert (fault.counted, fault.blank_lines) == ((3, 4), 2)
    assert mended(text) == FILE + "@@ -1,3 +1,4 @@\n" + BODY + "diff --git a/g b/g\n"
    kept = mended(text, keeps_blank_lines=True)
    assert kept == FILE + "@@ -1,5 +1,6 @@\n" + BODY + "\n\n" + "diff --git a/g b/g\n"


def test_a_blank_line_inside_a_hunk_is_context() -> None:
    (fault,) = find(FILE + "@@ -1,9 +1,9 @@\n a\n\n-b\n+c\n")
    assert (fault.counted, fault.blank_lines) == ((3, 3), 0)


def test_a_blank_line_behind_a_right_hunk_is_a_fault_only_if_another_hunk_of_the_file_follows() -> None:
    right = "@@ -1,3 +1,4 @@\n" + BODY
    assert find(FILE + right + "\n") == []
    (fault,) = find(FILE + right + "\n@@ -9,3 +10,4 @@\n" + BODY)
    assert fault.is_filled
    assert fault.blank_lines == 1


def test_the_signature_of_a_mail_is_not_a_deletion() -> None:
    signature = "-- \n2.39.5\n"
    assert find(FILE + "@@ -1,3 +1,4 @@\n" + BODY + signature) == []
    (fault,) = find(FILE + "@@ -1,9 +1,9 @@\n" + BODY + signature)
    assert fault.counted == (3, 4)


def test_a_deleted_line_of_two_dashes_counts_while_the_counts_are_right() -> None:
    assert find(FILE + "@@ -1,3 +1,2 @@\n a\n--- \n e\n") == []
    (fault,) = find(FILE + "@@ -1,3 +1,3 @@\n a\n-- \n+x\n e\n+y\n")
    assert fault.counted == (3, 4)


def test_the_next_file_ends_a_hunk() -> None:
    plain = FILE + "@@ -1,9 +1,9 @@\n" + BODY + FILE.replace("f", "g") + "@@ -1,3 +1,4 @@\n" + BODY
    (fault,) = find(plain)
    assert (fault.line, fault.counted) == (3, (3, 4))


@pytest.mark.parametrize("word", ["@@ -x +1 @@", "@@ -1,2 @@", "@@@ -1 -1 +1 @@@", "@@ -1,9999999999 +1 @@"])
def test_an_unreadable_header_is_refused_with_its_line(word: str) -> None:
    with pytest.raises(Invalid) as caught:
        find(FILE + word + "\n" + BODY)
    assert caught.value.fields == {"line": 3, "header": word}


def test_at_signs_outside_a_file_are_text() -> None:
    assert find("@@ is a mark\n\nsome words\n@@ -1,9 +1,9 @@\n" + BODY) == []
    assert find(FILE + "index 1..2\n@@ -x @@\n") == []


def test_a_line_that_lacks_its_blank_is_refused_with_the_header_of_its_hunk() -> None:
    with pytest.raises(Invalid, match="no part of its hunk") as caught:
        find(FILE + "@@ -1,9 +1,9 @@\n a\nb\n-c\n+d\n")
    assert caught.value.fields == {"line": 5, "header_line": 3, "header": "@@ -1,9 +1,9 @@"}


def test_text_behind_a_filled_hunk_is_refused_only_when_changes_follow_it() -> None:
    filled = FILE + "@@ -1,3 +1,4 @@\n" + BODY + "and so on\n"
    assert find(filled) == []
    with pytest.raises(Invalid, match="no part of its hunk"):
        find(filled + "-x\n")
    assert find(filled + "\n-x\n") == []


@pytest.mark.parametrize("header", ["-1,9 +1,9", "-1,2 +0,0"])
def test_a_hunk_that_is_cut_off_is_refused(header: str) -> None:
    with pytest.raises(Invalid, match="lacks the lines"):
        find(FILE + f"@@ {header} @@\n")


def test_wrong_headers_have_a_bound() -> None:
    many = FILE + "".join(f"@@ -{n},9 +{n},9 @@\n-a\n+b\n" for n in range(1, limits.patch_recounts_max + 1))
    assert len(find(many)) == limits.patch_recounts_max
    with pytest.raises(LimitExceeded):
        find(many + "@@ -99999,9 +99999,9 @@\n-a\n+b\n")


def test_the_header_of_a_line_is_the_last_one_before_it() -> None:
    lines = lines_of(FILE + "@@ -1,3 +1,4 @@ one\n" + BODY + "@@ -9,3 +10,4 @@ two\n" + BODY)
    assert find_header(lines, 2) is None
    assert find_header(lines, 3) == find_header(lines, 8) == (3, "@@ -1,3 +1,4 @@ one")
    assert find_header(lines, 9) == find_header(lines, 99) == (9, "@@ -9,3 +10,4 @@ two")


@pytest.mark.parametrize(
    ("tail", "end"),
    [
        (b" a", b"\n"),
        (b" a\n", b""),
        (b"", b"\n"),
        (b"literal 3\nKcmZQzWMT#Y\n\n", b""),
        (b"zcmZQzWMT#Y01f~L01f~L", b"\n"),  # 52 bytes need more than 20 characters
        (b"literal 4\nDcmZQz\n", b"\n"),
        (b"literal 4\nDcmZQz", b"\n\n"),
    ],
)
def test_the_missing_end_of_a_patch_is_a_line_feed_and_an_empty_line_after_binary_data(
    tail: bytes, end: bytes
) -> None:
    assert missing_end(tail) == end


class Bench:
    """A work tree in which git makes patches and applies them."""

    def __init__(self, git: Git, folder: Path) -> None:
        self.git = git
        self.work = git.init(folder)
        self.rng = random.Random(0)

    def edit(self, seed: int) -> tuple[str, str, str]:
        """Return a random text, an edited one, and git's patch from the first to the second."""
        rng = random.Random(seed)
        old = [rng.choice(["x", "y", "- z", "+ w", "@@", "-- "]) + str(number) for number in range(60)]
        new = list(old)
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(new))
            new[place : place + rng.randint(0, 2)] = [f"new{rng.random()}"] * rng.randint(0, 3)
        before, after = "\n".join(old) + "\n", "\n".join(new) + "\n"
        for name, text in (("before", before), ("after", after)):
            (self.work / name).write_text(text)
        done = self.git.try_run(
            "diff", "--no-index", f"-U{rng.randint(1, 4)}", "before", "after", cwd=self.work
        )
        return before, after, done.stdout.decode().replace("/before", "/f").replace("/after", "/f")

    def apply(self, before: str, patch: str) -> str:
        """Return what git makes of the text by the patch."""
        (self.work / "f").write_text(before)
        self.git.run("apply", "--unidiff-zero", "-", cwd=self.work, stdin=patch.encode())
        return (self.work / "f").read_text()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Git(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("work"))


@pytest.mark.parametrize("seed", range(25))
def test_git_applies_a_corrected_patch_like_its_own(bench: Bench, seed: int) -> None:
    before, after, patch = bench.edit(seed)
    if before == after:
        pytest.fail("the seed edits nothing")
    assert find(patch) == []
    rng = random.Random(seed)

    def miscount(header: re.Match[str]) -> str:
        return f"@@ -{header[1]},{rng.randint(1, 99)} +{header[2]},{rng.randint(1, 99)} @@"

    wrong = re.sub(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@", miscount, patch, flags=re.MULTILINE)
    assert bench.apply(before, mended(wrong)) == after


@given(st.text("@ +-\\\nab1,", max_size=60))
def test_any_text_is_checked_and_a_corrected_patch_has_no_fault(text: str) -> None:
    text = FILE + "@@ -1,2 +1,2 @@\n" + text
    try:
        repaired = mended(text)
    except (Invalid, LimitExceeded):
        return
    assert len(repaired.splitlines()) <= len(text.splitlines())
    assert [line for line in repaired.split("\n") if line[:1] in ("+", "-")] == [
        line for line in text.split("\n") if line[:1] in ("+", "-")
    ]
