"""Text that no file of the project may have."""

import re
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, place, project_files, python_files

pytestmark = pytest.mark.quick

TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".lock", ".in", ".sql", ".json", ".mjs", ".yml", ".cfg", ""}
FILE_KIB_MAX = 500


def _lines(paths: list[Path]) -> list[tuple[Path, int, str]]:
    return [
        (path, number, line)
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
    ]


def _text_files() -> list[Path]:
    return [path for path in project_files() if path.suffix in TEXT_SUFFIXES]


def test_no_file_names_a_path_of_one_persons_machine() -> None:
    # Written in parts, so that this file does not match itself.
    machine_path = re.compile(r"(?<![\w.])/(" + "wo" + r"rk|ro" + r"ot|ho" + r"me/\w+|Us" + r"ers/\w+)/")
    found = [place(path, number) for path, number, line in _lines(_text_files()) if machine_path.search(line)]
    assert not found, found


def test_no_file_names_a_package_registry() -> None:
    hosts = "|".join(("py" + r"pi\.", "registry" + r"\.npm", "npm" + r"js\.", r"crates" + r"\.io"))
    registry = re.compile(rf"https?://[^/\s\"]*({hosts})", re.IGNORECASE)
    found = [place(path, number) for path, number, line in _lines(_text_files()) if registry.search(line)]
    assert not found, found


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    locks = [path for path in project_files() if path.suffix == ".lock" or path.name == "package-lock.json"]
    assert len(locks) >= 3
    for path in locks:
        text = path.read_text("utf-8")
        assert "://" not in text, path
        assert "sha256:" in text or "sha512-" in text, path


def test_open_decisions_are_marked_with_the_agreed_word() -> None:
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    code = python_files("packhouse", "tests", "bench")
    found = [place(path, number) for path, number, line in _lines(code) if marks.search(line)]
    assert not found, found


def test_the_server_prints_only_from_its_command_line() -> None:
    found = [
        place(path, number)
        for path, number, line in _lines(python_files("packhouse"))
        if re.match(r"\s*print\(", line) and path.relative_to(ROOT).parts[1] != "cli"
    ]
    assert not found, found


def test_each_ignored_type_error_has_its_code_and_a_reason() -> None:
    mark = "type: " + "ignore"
    found = [
        place(path, number)
        for path, number, line in _lines(python_files("packhouse", "tests", "bench"))
        if mark in line and not re.search(mark + r"\[[\w, -]+\]\s+# \S", line)
    ]
    assert not found, found


def test_no_large_file_is_kept() -> None:
    large = [str(path) for path in project_files() if path.stat().st_size > FILE_KIB_MAX * 1024]
    assert not large, large


def test_every_file_is_utf8_with_unix_line_ends() -> None:
    for path in _text_files():
        content = path.read_bytes()
        content.decode("utf-8")
        assert b"\r\n" not in content, path
        assert not content or content.endswith(b"\n"), path
