"""Paths in documents for contributors exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT

pytestmark = pytest.mark.quick

PAGES = ("CONTRIBUTING.md", "docs/architecture.md", "docs/style.md", "docs/glossary.md")

_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.<>-]+(?:/[\w.<>*-]+)*/?")
_VARIABLE = re.compile(r"<[a-z]+>")


def named_paths(text: str) -> Iterator[str]:
    """Yield the words between back quotes that name a file or folder of the project.

    A path has a slash and begins with a folder at the top or in `packhouse/`, or it is the name of a module there.
    `<resource>` stands for any name.
    """
    tops = {path.name for top in (ROOT, ROOT / "packhouse") for path in top.iterdir()}
    for code in _CODE.findall(text):
        for word in code.split():
            first = word.partition("/")[0]
            if _PATH.fullmatch(word) and ((first in tops and "/" in word) or word.endswith(".py")):
                yield word


def leads_somewhere(word: str) -> bool:
    """Tell whether there is such a file or folder, at the top or in `packhouse/`."""
    pattern = _VARIABLE.sub("*", word.rstrip("/"))
    found = (path for top in (ROOT, ROOT / "packhouse") for path in top.glob(pattern))
    return any(path.is_dir() or not word.endswith("/") for path in found)


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    lost = sorted({word for word in named_paths(text) if not leads_somewhere(word)})
    assert not lost, f"{page} names {', '.join(lost)}"


def test_the_layout_names_folders_and_modules_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    tree = text.partition("\n## Layout\n")[2].partition("\n## ")[0]
    parents: list[tuple[int, Path]] = [(-1, ROOT)]
    lost = []
    for line in tree.splitlines():
        names = re.match(r"( {4,})((?:[\w.]+(?:/|\.py|\.md) ?)+)(?: |\Z)", line)
        if names is None:
            continue
        depth = len(names[1])
        while parents[-1][0] >= depth:
            parents.pop()
        for name in names[2].split():
            path = parents[-1][1] / name
            if not path.exists():
                lost.append(str(path.relative_to(ROOT)))
        parents.append((depth, parents[-1][1] / names[2].split()[0]))
    assert len(parents) >= 2
    assert not lost, lost


@pytest.mark.parametrize(
    ("word", "is_there"),
    [
        ("web/api/<resource>.py", True),
        ("web/api/", True),
        ("packhouse/web/app.py", True),
        ("tests/tidy/", True),
        ("limits.py", True),
        ("web/app.py/", False),
        ("web/nothing.py", False),
        ("nothing.py", False),
    ],
)
def test_a_path_is_found_at_the_top_or_in_the_package(word: str, is_there: bool) -> None:
    assert list(named_paths(f"see `{word}`")) == [word]
    assert leads_somewhere(word) == is_there


def test_other_words_between_back_quotes_are_not_taken_for_paths() -> None:
    text = "`refs/heads/main` `GET /api` `node.limits` `cache/last-commits` `a/b` `packhouse serve`"
    assert list(named_paths(text)) == []


def test_every_folder_of_the_package_stands_in_the_layout() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("\n## Layout\n")[2].partition("\n## ")[0]
    folders = [path.name for path in (ROOT / "packhouse").iterdir() if (path / "__init__.py").exists()]
    assert [name for name in folders if f" {name}/" not in text] == []
