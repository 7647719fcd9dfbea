"""Globs mean what the API's reference says, and no pattern takes long."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhouse.errors import Invalid
from packhouse.formats.globs import BadGlob, PathFilter, compile_globs, parse_extensions

pytestmark = pytest.mark.quick


def matches(glob: str, path: str) -> bool:
    globs = compile_globs([glob])
    assert globs is not None
    return globs.matches(path.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("glob", "taken", "refused"),
    [
        ("*.py", ["b.py", "a/b.py", "a/.py"], ["b.pyc", "b.py/x"]),
        ("README.md", ["README.md"], ["docs/README.md", "README_md"]),
        ("/README.md", ["README.md"], ["docs/README.md"]),
        ("src/*.py", ["src/a.py", "src/.py"], ["src/x/a.py", "a/src/a.py"]),
        ("/*.py", ["a.py"], ["src/a.py"]),
        ("src/**.py", ["src/a.py", "src/x/a.py"], ["a.py"]),
        ("src/**/a.py", ["src/a.py", "src/x/y/a.py"], ["src/xa.py", "src/a/py"]),
        ("**/a.py", ["a.py", "x/y/a.py"], ["xa.py"]),
        ("docs/", ["docs/a", "docs/a/b"], ["docs", "docsx/a", "x/docs/a"]),
        ("docs/**", ["docs/a", "docs/a/b"], ["docs", "docsx"]),
        ("**", ["a", "a/b"], []),
        ("a?c", ["abc", "x/a.c", "aéc"], ["ac", "a/c", "abbc"]),
        ("[ab]c", ["ac", "bc"], ["cc", "abc"]),
        ("[!ab]c", ["cc", "x/dc"], ["ac"]),
        ("a[^x]b", ["ayb"], ["axb", "a/b"]),
        ("[a-c0-9]", ["b", "5"], ["d", "-"]),
        ("[]-]x", ["]x", "-x"], ["ax"]),
        ("[[:digit:]x]", ["1", "x"], ["a", ":"]),
        ("a/b[/]c", [], ["a/b/c"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("a.b+(c)", ["a.b+(c)"], ["axbb(c)"]),
        ("*a*b*c", ["xxaxxbxxc", "q/abc"], ["xxaxxbxx", "ab/c"]),
        ("a*b**c*d", ["ab/cx/cd"], ["a/bcd", "ab/c/d"]),
        ("?\udcff", ["a\udcff"], ["aÿ"]),
        ("\n*", ["\nx"], ["x"]),
    ],
)
def test_a_glob_matches_the_listed_paths_and_no_others(
    glob: str, taken: list[str], refused: list[str]
) -> None:
    assert [path for path in [*taken, *refused] if matches(glob, path)] == taken


@pytest.mark.parametrize("glob", ["", "/", "[", "a[b", "a\\", "[z-a]", "[[:nope:]]", "a\0", "a" * 1025, "[]"])
def test_text_that_is_not_a_glob_is_refused(glob: str) -> None:
    with pytest.raises(BadGlob):
        compile_globs([glob])


def test_too_many_globs_and_extensions_are_refused() -> None:
    with pytest.raises(Invalid):
        compile_globs(["a"] * 101)
    with pytest.raises(Invalid):
        parse_extensions(["a"] * 101)


@pytest.mark.parametrize("extension", ["", ".", "a/b", "a\0", "a" * 2000])
def test_text_that_is_not_an_extension_is_refused(extension: str) -> None:
    with pytest.raises(Invalid):
        parse_extensions([extension])


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*a" * 500 + "z", "a" * 4000),
        ("**a" * 300 + "z", "a/" * 2000),
        ("*?" * 400 + "z", "a" * 4000),
        ("**/*a" * 100 + "z", "a/" * 2000),
        ("*[ab]*" * 150 + "z", "ab" * 2000),
    ],
)
def test_every_glob_is_matched_quickly(glob: str, path: str) -> None:
    began = time.process_time()
    assert not matches(glob, path)
    assert (
        time.process_time() - began < 20
    )  # it takes some hundredths of a second; exponential time never ends


def naive(glob: str) -> str:
    """Return the plain regular expression of a glob, which may take exponential time."""
    glob = glob if "/" in glob or not re.search(r"[*?]", glob) else f"**/{glob}"
    parts = re.split(r"((?:(?<=/)|\A)\*\*/|\*\*+|\*|\?)", glob)
    words = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(words.get(p, ".*" if p.startswith("**") else re.escape(p)) for p in parts)


@settings(max_examples=300, deadline=None)
@given(st.text("ab*?/", min_size=1, max_size=9), st.text("ab/", max_size=12))
def test_atomic_stars_match_the_same_paths_as_plain_ones(glob: str, path: str) -> None:
    if glob.startswith("/") or glob.endswith("/"):
        glob = f"a{glob}b"
    assert matches(glob, path) == bool(re.fullmatch(naive(glob), path, re.DOTALL))


def test_a_filter_needs_every_part_to_agree() -> None:
    files = PathFilter(
        prefixes=(b"src", b"docs/a.md"),
        include=compile_globs(["*.py", "*.md"]),
        exclude=compile_globs(["src/gen/"]),
        extensions=parse_extensions([".py", "md"]),
    )
    taken = [b"src/a.py", b"docs/a.md", b"src/x/b.md", b"srcx/a.py"]
    refused = [b"sr/c.py", b"docs/b.md", b"src/a.txt", b"src/gen/a.py", b"a.py"]
    assert [path for path in [*taken, *refused] if files.takes(path)] == taken
    assert not files.takes_all and PathFilter(prefixes=(b"a",)).takes_all
