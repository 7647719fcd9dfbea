"""A class of error: its constructor, its text in logs, and its copies."""

import copy
import inspect
import pickle
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, field

import pytest

from packhouse.errors import Code, Conflict, NotFound, PackhouseError
from tests.support.errors import code_of, error_classes, examples

pytestmark = pytest.mark.quick


class Lost(NotFound):
    """An error with a required field, a field with a default, and a field that no log shows."""

    code = Code.REF_MISSING
    refname: str
    place: str | None = None
    secret: str = field(default="", repr=False)


class Moved(Conflict):
    """An error with two fields of one type."""

    code = Code.REF_MISMATCH
    refname: str
    _: KW_ONLY
    expected: str | None
    actual: str | None


class Named(Conflict, kw_only=True):
    """An error whose constructor takes names only."""

    code = Code.ORG_EXISTS
    org: str


class Away(Lost):
    """A special case of its base, for callers that act on it."""


def test_fields_are_the_arguments_in_their_order() -> None:
    error = Lost("main", "disk")
    assert (error.refname, error.place) == ("main", "disk")
    assert Moved("main", expected="a", actual=None).fields == {
        "refname": "main",
        "expected": "a",
        "actual": None,
    }


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("busy_threads")
def test_threads_may_make_the_first_error_of_a_class_at_once() -> None:
    for _ in range(50):

        class Late(NotFound):
            code = Code.REF_MISSING
            refname: str
            secret: str = field(default="", repr=False)

        start = threading.Barrier(8)

        def make(kind: type[Late] = Late, start: threading.Barrier = start) -> tuple[str, str]:
            start.wait()
            error = kind("main", "s3cret")
            return str(error), error.secret

        with ThreadPoolExecutor(8) as threads:
            made = {future.result() for future in [threads.submit(make) for _ in range(8)]}
        assert made == {(f"{Code.REF_MISSING.value} (refname='main')", "s3cret")}


def test_a_missing_or_wrong_field_is_a_type_error() -> None:
    # mypy reports each line whose comment it does not need, so these are its tests as well.
    with pytest.raises(TypeError):
        Lost()  # type: ignore[call-arg]  # refname is missing
    with pytest.raises(TypeError):
        Lost("main", tag="x")  # type: ignore[call-arg]  # no such field
    with pytest.raises(TypeError):
        Moved("main", "a", "b")  # type: ignore[call-arg]  # two of one type
    with pytest.raises(TypeError):
        Named("northwind")  # type: ignore[call-arg]  # by name only


def test_a_family_cannot_be_raised() -> None:
    with pytest.raises(TypeError):
        NotFound("repository not found")  # type: ignore[abstract, call-arg]  # a family takes no text
    with pytest.raises(AttributeError):
        str(NotFound())  # type: ignore[abstract]  # and has no code


def test_every_code_has_one_class_whose_name_is_its_own() -> None:
    words = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
    names = {code_of(kind): words.sub("_", kind.__name__).upper() for kind in error_classes()}
    assert len(names) == len(error_classes()), "two classes have one code"
    assert names == {code: code.name for code in Code}


def test_two_arguments_of_one_type_are_given_by_name() -> None:
    for kind in error_classes():
        constructor = type(examples(kind)[0]).__init__
        arguments = [*inspect.signature(constructor).parameters.values()][1:]
        places = [one.annotation for one in arguments if one.kind is one.POSITIONAL_OR_KEYWORD]
        assert len(set(places)) == len(places), kind


def test_texts_of_codes_are_distinct_and_constant() -> None:
    assert [code for code in Code if not code.value.isprintable() or "{" in code.value] == []


def test_the_text_is_that_of_the_code_and_the_fields_that_differ_from_their_defaults() -> None:
    assert str(Lost("main")) == f"{Code.REF_MISSING.value} (refname='main')"
    assert str(Lost("main", place="disk", secret="s")) == (
        f"{Code.REF_MISSING.value} (refname='main', place='disk')"
    )
    assert "s3cret" not in str(Lost("main", secret="s3cret")) + repr(Lost("main", secret="s3cret"))
    assert str(Moved("main", expected=None, actual=None)) == (
        f"{Code.REF_MISMATCH.value} (refname='main', expected=None, actual=None)"
    )


def test_a_special_case_has_the_code_and_the_fields_of_its_base() -> None:
    error = Away("main", place="disk")
    assert error.code is Code.REF_MISSING
    assert error.fields == {"refname": "main", "place": "disk"}


@pytest.mark.parametrize(
    "error", [Lost("main", secret="s"), Moved("main", expected="a", actual=None), Named(org="northwind")]
)
def test_copies_and_pickles_are_the_same_error(error: PackhouseError) -> None:
    error.add_note("seen at noon")
    for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert twin.__dict__ == error.__dict__
        assert str(twin) == str(error)


def raise_chained() -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        raise Lost("main") from error


def test_a_chained_error_keeps_its_cause() -> None:
    with pytest.raises(Lost) as raised:
        raise_chained()
    assert isinstance(raised.value.__cause__, KeyError)


def test_errors_are_equal_only_to_themselves() -> None:
    assert Lost("main") != Lost("main")
    assert len({Lost("main"), Lost("main")}) == 2
