"""Every class of error that has a code of its own, and examples of each."""

import dataclasses
import importlib
import pkgutil
import types
import typing
from collections.abc import Callable, Mapping
from enum import EnumType
from functools import cache
from typing import Final

import packhouse
from packhouse.errors import Code, PackhouseError
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName
from packhouse.operations.notes.write_note import NotesRefState

_OID: Final = Oid("0123456789abcdef" * 2 + "01234567")

SAMPLES: Final[Mapping[object, Callable[[str], object]]] = {
    # a value of each type that a field has, made from the field's name
    str: "<{}>".format,
    bytes: lambda name: f"<{name}>".encode(),
    bool: lambda _name: True,
    int: lambda _name: 7,
    float: lambda _name: 7,
    Oid: lambda _name: _OID,
    RefName: lambda _name: RefName(b"refs/heads/main"),
    NotesRefState: lambda _name: NotesRefState(_OID, RefName(b"refs/notes/commits"), None),
    list[str]: lambda name: [f"<{name}>", "other"],
    tuple[str, ...]: lambda name: (f"<{name}>",),
    list[bytes]: lambda _name: [b"a", b"\xff"],
}


@cache
def error_classes() -> tuple[type[PackhouseError], ...]:
    """Return the classes of the program that have a code of their own, in the order of their names."""
    for module in pkgutil.walk_packages(packhouse.__path__, "packhouse."):
        importlib.import_module(module.name)
    found, waiting = set(), PackhouseError.__subclasses__()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("packhouse.") and "code" in kind.__dict__:
            found.add(kind)
    return tuple(sorted(found, key=lambda kind: kind.__name__))


def code_of(kind: type[PackhouseError]) -> Code:
    """Return the code of a class, which type checkers know of its errors only."""
    return examples(kind)[0].code


def examples(kind: type[PackhouseError]) -> list[PackhouseError]:
    """Return an error with all its fields and, where some may be absent, one without those."""
    full, bare = _sample(kind, bare=False), _sample(kind, bare=True)
    return [full] if full.fields == bare.fields else [full, bare]


def _sample(kind: type[PackhouseError], *, bare: bool) -> PackhouseError:
    """Return an error of samples. No constructor makes it: some take other values than the fields."""
    error = kind.__new__(kind)
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        options = _options(hints[field.name])
        if bare and field.default is not dataclasses.MISSING:
            value = field.default
        elif bare and type(None) in options:
            value = None
        else:
            value = _sample_value(options[0], field.name)
        setattr(error, field.name, value)
    return error


def _sample_value(kind: object, name: str) -> object:
    return next(iter(kind)) if isinstance(kind, EnumType) else SAMPLES[kind](name)


def _options(hint: object) -> tuple[object, ...]:
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if is_union else (hint,)
