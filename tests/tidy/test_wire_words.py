"""Operations return values and enumerations. The names and words that clients read are known to web/ alone."""

import ast
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import msgspec
import pytest

import packhouse.web.app  # noqa: F401  # imports all handlers, and the structs beside them
from packhouse.web.routing.dialects import REQUEST_ALIASES
from tests.tidy.sources import ROOT, parse, place, python_files

pytestmark = pytest.mark.quick

OPERATIONS = ROOT / "packhouse" / "operations"

OBJECT_KINDS = {"blob", "commit", "tag", "tree"}
"""Git has these words for the kinds of objects (gitglossary(7))."""

EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "notes/write_note.py": {
        "notes_ref": "names a value of an error, for logs and sentences",
        "note": "is a word in the sentence of an error",
    },
    "tenants/rotate_secrets.py": {"webhooks": "is the name of a table"},
    "transport/start_push.py": {"push": "stands in the ref log"},
}
"""Words that operations need for another reason, by module."""

FIELD_ERRORS = {"FieldInvalid", "FieldMissing"}
"""Errors that name a field of the operation's own command."""

HEADERS = ("X-", "Content-", "application/", "text/")
"""The beginnings of names and values in HTTP headers."""


def structs_of_web(kind: type[msgspec.Struct] = msgspec.Struct) -> Iterator[type[msgspec.Struct]]:
    """Yield all structs of requests and answers."""
    for found in kind.__subclasses__():
        if found.__module__.startswith("packhouse.web."):
            yield found
        yield from structs_of_web(found)


@cache
def wire_words() -> frozenset[str]:
    """Return the names of all members and parameters, old names too, and the words that such members have as values."""
    found: set[str] = set()
    for struct in structs_of_web():
        found.update(struct.__struct_encode_fields__)
        for hint in typing.get_type_hints(struct, include_extras=True).values():
            found.update(_words_of(hint))
    for aliases in REQUEST_ALIASES.values():
        found.update(str(old) for olds in aliases.values() for old in olds)
    return frozenset(word for word in found if len(word) > 1)


def _words_of(hint: object) -> Iterator[str]:
    """Yield the words to which a type limits a member."""
    is_literal = typing.get_origin(hint) is typing.Literal
    for part in typing.get_args(hint):
        if isinstance(part, msgspec.Meta):
            yield from (part.extra_json_schema or {}).get("enum", ())
        elif not is_literal:
            yield from _words_of(part)
        elif isinstance(part, str):
            yield part


def strings_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield (text, line) of all strings but docstrings and the fields of commands that errors name."""
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FIELD_ERRORS:
            left_out.update(id(given) for given in _field_given(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.value, node.lineno


def _field_given(call: ast.Call) -> Iterator[ast.Constant]:
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "field")]
    yield from (value for value in given if isinstance(value, ast.Constant))


def fields_of_dataclasses(folder: Path) -> set[str]:
    """Return the names of the fields of all dataclasses in the modules of a folder."""
    return {
        line.target.id
        for path in folder.glob("*.py")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and "dataclass" in "".join(map(ast.unparse, node.decorator_list))
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


def modules() -> list[Path]:
    """Return the modules of operations."""
    return [path for path in python_files("packhouse") if path.is_relative_to(OPERATIONS)]


def test_members_old_names_and_words_of_members_are_known() -> None:
    assert {"target_branch", "expected_head_sha", "baseSha", "fast_forward", "too_slow"} <= wire_words()
    assert "merge_preview" not in wire_words()


def test_strings_are_found_but_for_docstrings_and_fields_of_commands() -> None:
    code = '"""a"""\nx = {"b": f"c{1}"}\nraise FieldMissing("d")\nFieldInvalid(field="e", reason="f")\n'
    assert {text for text, _ in strings_in(ast.parse(code))} == {"b", "c", "f"}


def test_operations_spell_no_name_and_no_word_of_the_wire() -> None:
    found = [
        f"{place(path, line)}: {text}"
        for path in modules()
        for text, line in strings_in(parse(path))
        if text in wire_words() - OBJECT_KINDS
        and text not in EXCEPTIONS.get(path.relative_to(OPERATIONS).as_posix(), ())
    ]
    assert not found, f"return an enumeration or a typed field, and let web/ have the word: {found}"


def test_each_exception_is_needed() -> None:
    used = {
        (path.relative_to(OPERATIONS).as_posix(), text)
        for path in modules()
        for text, _ in strings_in(parse(path))
    }
    needed = {(module, word) for module, words in EXCEPTIONS.items() for word in words}
    assert needed <= used
    assert {word for _, word in needed} <= wire_words()


def test_an_error_about_a_field_names_a_field_of_a_command() -> None:
    found = [
        f"{place(path, node.lineno)}: {given.value!r}"
        for path in modules()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FIELD_ERRORS
        for given in _field_given(node)
        if given.value not in fields_of_dataclasses(path.parent)
    ]
    assert not found, found


def test_operations_know_no_headers() -> None:
    found = [
        f"{place(path, line)}: {text}"
        for path in modules()
        for text, line in strings_in(parse(path))
        if text.startswith(HEADERS)
    ]
    assert not found, f"headers belong to web/ and outbound/: {found}"
