"""Globs match the same paths here and in git, as far as both have the same rules."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhouse.errors import Invalid
from packhouse.formats.globs import compile_globs, parse_extensions
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

SEGMENTS = ["a", "b", "ab", "ba", "a-b", "a.b"]
PATHS = sorted("/".join(parts) for depth in (1, 2, 3) for parts in product(SEGMENTS, repeat=depth))


class Index:
    """An index of git's with all these paths; a path is in one file or another, never in both."""

    def __init__(self, git: Git, folder: Path) -> None:
        self.git = git
        self.work = git.init(folder)
        self.paths = [path + "/f" for path in PATHS]
        blob = git.run("hash-object", "-w", "--stdin", cwd=self.work)
        rows = "".join(f"100644 {blob}\t{path}\0" for path in self.paths).encode()
        git.run("update-index", "-z", "--index-info", cwd=self.work, stdin=rows)

    def matching(self, glob: str) -> set[str]:
        """Return the paths that git finds by the pathspec `:(top,glob)`."""
        found = self.git.run("ls-files", "-z", "--", f":(top,glob){glob}", cwd=self.work)
        return {path for path in found.split("\0") if path}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index(Git(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("work"))


# Git's `**` crosses folders only as a whole segment, and a trailing slash means something else there.
PIECES = st.sampled_from(["a", "b", "-", ".", "*", "?", "[ab]", "[!b]", "[a-c]", "[[:alpha:]]", r"\a", r"\*"])
SEGMENT = st.lists(PIECES, min_size=1, max_size=4).map("".join).filter(lambda text: "**" not in text)
GLOBS = st.lists(st.just("**") | SEGMENT, min_size=1, max_size=3).map(lambda parts: "/".join((*parts, "f")))


@settings(max_examples=150)
@given(GLOBS)
def test_git_and_we_match_the_same_paths(index: Index, glob: str) -> None:
    globs = compile_globs(["/" + glob])
    assert globs is not None
    assert {path for path in index.paths if globs.matches(path.encode())} == index.matching(glob)


CHARS = st.sampled_from("abcz019-_]^!")


@given(st.lists(CHARS, min_size=1, max_size=5), st.sampled_from(["", "!", "^"]), CHARS)
def test_a_class_of_single_characters_is_a_set(members: list[str], sign: str, char: str) -> None:
    # `]` may stand first, `-` last, and a sign anywhere but first.
    inner = sorted(set(members) - {"]", "-", "^", "!"})
    text = ("]" if "]" in members else "") + "".join(inner) + ("-" if "-" in members else "")
    if not text:
        return
    globs = compile_globs([f"x[{sign}{text}]"])
    assert globs is not None
    assert globs.matches(f"x{char}".encode()) == ((char in text) != bool(sign))


@given(st.text("ab*?[]\\/!-", max_size=8), st.text("ab/", min_size=1, max_size=6))
def test_any_text_is_a_glob_or_is_refused(glob: str, path: str) -> None:
    try:
        globs = compile_globs([glob])
    except Invalid:
        return
    assert globs is not None
    assert globs.matches(path.encode()) in (True, False)


@given(st.text("ab./", min_size=1, max_size=8))
def test_a_plain_path_matches_only_itself(path: str) -> None:
    if path.endswith("/") or path.startswith("/"):
        return
    globs = compile_globs([path])
    assert globs is not None
    assert globs.matches(path.encode())
    for other in (path + "x", "x" + path, path + "/x", "x/" + path):
        assert not globs.matches(other.encode())


@pytest.mark.parametrize(
    ("written", "ending"),
    [("py", b".py"), (".py", b".py"), (" py ", b".py"), ("..py", b"..py"), ("tar.gz", b".tar.gz")],
)
def test_an_extension_may_be_written_with_or_without_its_dot(written: str, ending: bytes) -> None:
    assert parse_extensions([written]) == (ending,)
