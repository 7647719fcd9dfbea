"""Paths are quoted as git quotes them, and come back."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from packhouse.git.commands.quoting import quote_path, unquote_path
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

NAMES = st.binary(min_size=1, max_size=12).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))


@given(NAMES)
@example(b'"')
@example(b'""')
@example(b'"quoted"')
@example(b"\\")
@example(b"\\101")
@example(b"\\n")
@example(b'\\"')
def test_a_quoted_path_is_unquoted_to_itself(path: bytes) -> None:
    assert unquote_path(quote_path(path)) == path


@given(NAMES)
def test_a_quoted_path_is_one_line_of_ascii(path: bytes) -> None:
    quoted = quote_path(path)
    assert all(0x20 <= byte < 0x7F for byte in quoted)


@settings(max_examples=50)
@given(st.sets(NAMES.filter(lambda name: name not in (b".", b"..", b".git")), min_size=1, max_size=8))
def test_git_quotes_each_path_alike(tmp_path_factory: pytest.TempPathFactory, paths: set[bytes]) -> None:
    git = Git(tmp_path_factory.getbasetemp() / "quoting-home")
    work = git.init(tmp_path_factory.getbasetemp() / "quoting-work")
    blob = git.run("hash-object", "-w", "--stdin", cwd=work)
    rows = b"".join(b"100644 blob %s\t%s\0" % (blob.encode(), path) for path in paths)
    tree = git.run("mktree", "-z", cwd=work, stdin=rows)
    listed = git.try_run("ls-tree", "--name-only", tree, cwd=work).stdout
    assert listed.split(b"\n")[:-1] == [quote_path(path) for path in sorted(paths)]


@pytest.mark.parametrize("text", [b"", b'"', b"a", b'a"', b'"a', b"a\\nb"])
def test_text_without_both_quotes_is_a_path_as_it_is(text: bytes) -> None:
    assert unquote_path(text) == text
