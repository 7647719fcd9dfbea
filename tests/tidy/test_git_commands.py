"""Only the modules of git's commands know git's command lines, exit codes and messages."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, parse, place, python_files

pytestmark = pytest.mark.quick

COMMANDS = ROOT / "packhouse" / "git" / "commands"

SUBCOMMANDS = {
    *("add", "apply", "archive", "blame", "branch", "bundle", "cat-file", "check-ref-format", "checkout"),
    *("clone", "commit", "commit-graph", "commit-tree", "config", "count-objects", "describe", "diff"),
    *("diff-tree", "fast-import", "fetch", "for-each-ref", "fsck", "gc", "grep", "hash-object", "help"),
    *("index-pack", "init", "log", "ls-files", "ls-remote", "ls-tree", "maintenance", "merge", "merge-base"),
    *(
        "merge-file",
        "merge-tree",
        "mktree",
        "multi-pack-index",
        "notes",
        "pack-objects",
        "pack-refs",
        "prune",
    ),
    *("push", "read-tree", "receive-pack", "reflog", "remote", "repack", "replace", "rev-list", "rev-parse"),
    *("show", "show-ref", "symbolic-ref", "tag", "unpack-objects", "update-index", "update-ref"),
    *("upload-pack", "var", "verify-pack", "version", "write-tree"),
}
"""Source: git(1), "GIT COMMANDS". A word of plain English among them counts only beside an option."""

HOW_IT_RUNS = {
    *("run_git", "spawn_git", "iter_git_output", "run_program", "run_remote_git"),
    *("GitResult", "check_answer", "ok_codes", "exit_code", "returncode"),
}
"""Names for running a program, and for its exit code and output before its module has read them."""

RELAYS = ("web/smart/",)
"""Modules that pass the messages of a running git on to a client."""

WORDS = ("fatal:", "error: ", "warning: object", "GIT_")
"""The beginnings of git's messages and of its environment variables."""


def modules_above() -> Iterator[tuple[str, Path]]:
    """Yield (path within packhouse, path) of each module that runs git only by its commands."""
    for path in python_files("packhouse"):
        if not path.is_relative_to(COMMANDS):
            yield path.relative_to(ROOT / "packhouse").as_posix(), path


def command_lines(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield (subcommand, line) of each beginning of an argument list for git: in a list, a tuple or a call."""
    for node in ast.walk(tree):
        parts = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
        texts = [text for part in parts if (text := _text(part)) is not None]
        if not isinstance(node, ast.Call | ast.Tuple | ast.List) or not texts or texts[0] not in SUBCOMMANDS:
            continue
        if "-" in texts[0] or any(text.startswith("-") for text in texts[1:]):
            yield texts[0], node.lineno


def _text(node: ast.expr) -> str | None:
    """Return the text of a string, or the first part of a string that is put together."""
    if isinstance(node, ast.JoinedStr):
        return _text(node.values[0]) if node.values else ""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_an_argument_list_is_known_by_its_subcommand_and_options() -> None:
    code = 'run(p, "rev-list", *o); ("grep", "-E"); ["push", name, f"--atomic={x}"]; git("fetch", *o)'
    assert sorted(name for name, _ in command_lines(ast.parse(code))) == ["grep", "push", "rev-list"]
    other = 'Route("push", "POST"); ("merge", "squash"); {"rev-list": 1}; x == "upload-pack"; f("none", "-E")'
    assert not list(command_lines(ast.parse(other)))


def test_no_argument_list_of_git_stands_outside_its_command() -> None:
    found = [
        f"{place(path, line)}: {name}"
        for _, path in modules_above()
        for name, line in command_lines(parse(path))
    ]
    assert not found, f"give it a function with typed arguments in git/commands: {found}"


def test_only_the_module_of_a_command_reads_how_git_ended() -> None:
    found = [
        f"{place(path, line)}: {name}"
        for inside, path in modules_above()
        for name, line in _names(parse(path))
        if name in HOW_IT_RUNS or (name == ".stderr" and not inside.startswith(RELAYS))
    ]
    assert not found, f"let the command's module return a value or raise an error: {found}"


def _names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield names that are used, imported or given as arguments. The messages of another process are `.stderr`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            is_ours = isinstance(node.value, ast.Name) and node.value.id == "sys"
            yield (".stderr" if node.attr == "stderr" and not is_ours else node.attr), node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno


def test_only_the_commands_know_the_words_and_variables_of_git() -> None:
    found = [
        place(path, node.lineno)
        for _, path in modules_above()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        if _plain(node.value).startswith(WORDS)
    ]
    assert not found, f"git may change its messages; its command's module reads them: {found}"


def _plain(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode("latin-1")
    return text.lstrip("^(")
