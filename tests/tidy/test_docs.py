"""Documents agree with the code and with each other."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import packhouse
from packhouse.config import ENV_PREFIX, Config
from tests.tidy.sources import ROOT, place, project_files

pytestmark = pytest.mark.quick

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def test_the_settings_reference_has_a_row_for_each_setting() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for setting in fields(Config):
        variable = f"{ENV_PREFIX}{setting.name.upper()}"
        flag = f"--{setting.name.replace('_', '-')}"
        matching = [row for row in rows if f"`{variable}`" in row]
        assert matching, f"no row for {variable}"
        assert flag in matching[0], f"row of {variable} does not name {flag}"


def test_the_settings_reference_names_no_setting_that_does_not_exist() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    known = {f"{ENV_PREFIX}{setting.name.upper()}" for setting in fields(Config)}
    rows = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    assert set(re.findall(rf"`({ENV_PREFIX}[A-Z_]+)`", rows)) <= known


def test_the_database_reference_has_a_row_for_each_table() -> None:
    text = (ROOT / "docs/reference/database.md").read_text("utf-8")
    schema = "".join(path.read_text("utf-8") for path in (ROOT / "packhouse/db").glob("*/*.sql"))
    tables = set(re.findall(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+)", schema, re.MULTILINE))
    for old, new in re.findall(r"^ALTER TABLE (\w+) RENAME TO (\w+)", schema, re.MULTILINE):
        tables = tables - {old} | {new}
    assert len(tables) > 10
    section = text.partition("\n## Tables\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE)) == tables
    assert "not used yet" not in text


def test_the_changelog_has_a_section_for_unreleased_changes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## \[?Unreleased", text, re.MULTILINE)
    kinds = set(re.findall(r"^### (\w+)", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in project_files():
        if path.suffix != ".md":
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for target in _LINK.findall(line):
                if "://" in target or target.startswith(("#", "mailto:")):
                    continue
                if not (path.parent / target.partition("#")[0]).exists():
                    broken.append(f"{place(path, number)} {target}")
    assert not broken, broken


def test_the_releases_are_counted_in_the_page_about_upgrading() -> None:
    text = (ROOT / "docs/operating/upgrading.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| (\S+) \|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, packhouse.RELEASE + 1))
    assert rows[-1][1] == packhouse.__version__


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted(Path(ROOT / "docs/decisions").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_readme_names_the_two_commands_on_its_first_screen() -> None:
    screen = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:40])
    assert "make run" in screen
    assert "make test" in screen
