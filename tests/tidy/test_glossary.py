"""The glossary has every word of the code that is not Git's, and each word once."""

import ast
import re
from collections import Counter

import pytest

from tests.tidy.sources import ROOT, parse, python_files

pytestmark = pytest.mark.quick

TEXT = (ROOT / "docs/glossary.md").read_text("utf-8")
ROWS = [
    row.split(" | ", 1) for row in TEXT.splitlines() if row.startswith("| ") and not row.startswith("| ---")
]

# What a new reader of the modules meets in names and docstrings.
WORDS = """
    command / reply / prepared write / runner / deadline / silence / round / lease loop
    view / write / quarantine / new pack / ref writer / receipt / ticket / kept answer / guard / base
    target / incoming / live / retired / deleting / generation / store / adopt / consolidation / sweep
    namespace / ephemeral / limiter / slot / park / holder / shares / branch queue / writer lock / transfer
    admission / kill switch / pipeline / stage / exchange / call / caller / claim / route / dialect / cursor
    code / fingerprint / idempotency key / principal / scope / ref policy / key ring / signing key / seal
    static token / operator / organisation / verdict / node / loop / job / task / lease / heartbeat
    maintenance lease / wake-up / event / subscription / delivery / attempt / upstream / sync / forward
    pull / mirror / credential / provider / file map / attribution / stretch / tree table / district / layer
    edge / engine / session / spill file / runtime folder / derived file / damaged / mended
    passing pack / sound file / noted name / data folder / opened folder / idle reader / fresh reader
    scratch folder / tree maker / tree editor / notes ref / notes tree / locked write / server identity
    pending commit / ref command / complaint / promote / restore / undelete / answer / piece / commit stream
    metadata line / chunk / old name / place / pump / sign of life / supervisor / passage / issuer / minting
    rotate / dead job / bury / due / fan out / hold / release / run / detach / fork / snapshot
"""


def terms() -> list[str]:
    """Return the terms of all rows in lower case. A name of the code keeps its back quotes."""
    return [
        term.strip().lower()
        for term, *_ in (re.split(r"\A\| ", row[0])[1:] for row in ROWS)
        for term in re.split(r"[;,]", re.sub(r"\s*\([^)]*\)", "", term))
    ]


def test_the_glossary_has_every_word_that_readers_meet() -> None:
    known = " / ".join(terms())
    missing = [
        word
        for word in (part.strip() for line in WORDS.splitlines() for part in line.split(" / "))
        if word and not re.search(rf"(?:\A|[ /]){re.escape(word)}(?:\Z|[ /])", known)
    ]
    assert not missing, missing


def test_the_glossary_defines_each_word_once() -> None:
    counts = Counter(term for term in terms() if term not in {"term", "meaning"})
    assert [term for term, count in counts.items() if count > 1] == []


def test_the_glossary_has_every_district() -> None:
    districts = [
        path.name for path in (ROOT / "packhouse/operations").iterdir() if (path / "__init__.py").exists()
    ]
    assert len(districts) > 8
    assert [name for name in districts if f"`{name}`" not in terms()] == []


def test_names_of_code_in_the_glossary_exist() -> None:
    classes = {
        node.name
        for path in python_files("packhouse")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef)
    }
    types = {
        target.id
        for path in python_files("packhouse")
        for node in parse(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    named = re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)(?:\.\w+)?`", TEXT)
    assert len(named) > 20
    assert [name for name in named if name not in classes | types | {"None"}] == []
