"""Paths in JSON and queries: a path that is not UTF-8 comes back from its base64, byte for byte."""

import base64

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packhouse.errors import Invalid
from packhouse.web.json.fields import parse_query
from packhouse.web.json.paths import (
    PathMembers,
    encoded_path,
    encoded_paths,
    path_list_members,
    path_text,
    read_file_path,
    read_folder,
    read_path,
    read_paths,
    read_written_path,
)

pytestmark = pytest.mark.quick

PATHS = st.binary(min_size=1, max_size=40).filter(lambda path: b"\0" not in path)


def is_text(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@given(PATHS)
@example(b"caf\xe9")
@example("\N{REPLACEMENT CHARACTER}".encode())
@example(b"\xed\xa0\x80")
def test_the_bytes_in_an_answer_name_the_path(path: bytes) -> None:
    text, encoded = path_text(path), encoded_path(path)
    assert (encoded is msgspec.UNSET) == is_text(path)
    if encoded is msgspec.UNSET:
        assert read_path(PathMembers(path=text)) == path
    else:
        assert read_path(PathMembers(path=text, path_base64=encoded)) == path
        assert read_path(PathMembers(path_base64=encoded)) == path


@given(PATHS)
@example(b"\xfb\xff\xbe")
def test_both_base64_alphabets_are_read_with_and_without_padding_and_an_unescaped_plus(path: bytes) -> None:
    standard = base64.b64encode(path).decode()
    for spelled in (standard, base64.urlsafe_b64encode(path).decode(), standard.rstrip("=")):
        assert read_path(parse_query(f"path_base64={spelled}".encode(), PathMembers, where="")) == path


@given(st.lists(PATHS, max_size=4))
def test_a_list_has_the_bytes_of_all_paths_when_one_is_not_text(paths: list[bytes]) -> None:
    members = path_list_members(paths, "conflict_paths")
    assert members["conflict_paths"] == [path_text(path) for path in paths]
    assert ("conflict_paths_base64" in members) == (not all(map(is_text, paths)))
    encoded = members.get("conflict_paths_base64", [])
    assert encoded == [] or [base64.b64decode(text) for text in encoded] == paths
    assert encoded_paths(paths) == (encoded or msgspec.UNSET)


@pytest.mark.parametrize("text", ["a", "a===", "====", "Zg==Zg==", "Zg=\n", "ä", "\ud800", "Z\0==", "?"])
def test_text_that_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_path(PathMembers(path_base64=text))
    with pytest.raises(Invalid):
        read_paths([], [text])


def test_two_members_that_differ_are_refused() -> None:
    with pytest.raises(Invalid, match="differ"):
        read_path(PathMembers(path="b", path_base64="YQ=="))


def test_a_required_path_is_missing_if_both_members_are() -> None:
    for given_members in (PathMembers(), PathMembers(path=""), PathMembers(path=" ")):
        with pytest.raises(Invalid, match="required"):
            read_file_path(given_members)
    assert read_file_path(PathMembers(path_base64="IA==")) == b" "
    assert read_written_path(PathMembers(path=" ")) == b" "
    with pytest.raises(Invalid, match="required"):
        read_written_path(PathMembers())


def test_the_root_is_a_folder_and_means_every_path_in_a_list() -> None:
    assert read_folder(PathMembers()) == read_folder(PathMembers(path="//")) == b""
    assert read_folder(PathMembers(path_base64="Lw==")) == b""
    assert read_paths(["a", "/"], ["/w=="]) == read_paths(["a"], ["Lw=="]) == []
    assert read_paths(["/a/"], ["/w=="]) == [b"a", b"\xff"]


@pytest.mark.parametrize("path", [b"a/../b", b"\xff/.git/x", b"a\0b", b"\xff" * 4097, b"a//b"])
def test_the_rules_of_paths_hold_for_bytes(path: bytes) -> None:
    encoded = base64.b64encode(path).decode()
    for read in (read_file_path, read_folder, read_written_path):
        with pytest.raises(Invalid):
            read(PathMembers(path_base64=encoded))
    with pytest.raises(Invalid):
        read_paths([], [encoded])
