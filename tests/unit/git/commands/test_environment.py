"""What a child may know of this process, and of the machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from packhouse.git.commands.environment import (
    LITERAL_PATHS,
    NOWHERE,
    UTF8,
    GitPlace,
    git_environment,
    program_environment,
)
from packhouse.git.commands.run import run_git
from tests.support.clients.git_runner import WorkTree

pytestmark = pytest.mark.quick


def settings(environment: dict[str, str]) -> dict[str, str]:
    """Return the configuration that an environment holds."""
    count = int(environment["GIT_CONFIG_COUNT"])
    return {environment[f"GIT_CONFIG_KEY_{n}"]: environment[f"GIT_CONFIG_VALUE_{n}"] for n in range(count)}


def test_only_the_variable_path_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_SSH_COMMAND", "HTTPS_PROXY", "PACKHOUSE_DATABASE"):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("PATH", "/some/where")
    environment = git_environment(NOWHERE)
    assert environment["PATH"] == "/some/where"
    assert "leaked" not in environment.values()
    assert "GIT_DIR" not in environment


def test_no_configuration_of_the_machine_or_of_a_user_is_read() -> None:
    environment = git_environment(NOWHERE)
    assert environment["GIT_CONFIG_NOSYSTEM"] == "1"
    assert environment["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
    assert settings(environment)["protocol.allow"] == "never"
    assert settings(environment)["core.hooksPath"] == "/dev/null"


def test_a_place_sets_the_variables_for_repository_and_objects() -> None:
    place = GitPlace(Path("/srv/r.git"), Path("/srv/objects"), beneath=(Path("/srv/old"), Path("/srv/a:b")))
    environment = git_environment(place)
    assert environment["GIT_DIR"] == "/srv/r.git"
    assert environment["GIT_OBJECT_DIRECTORY"] == "/srv/objects"
    assert environment["GIT_ALTERNATE_OBJECT_DIRECTORIES"] == '/srv/old:"/srv/a:b"'
    assert "GIT_SHALLOW_FILE" not in environment
    assert git_environment(GitPlace(shallow_file=Path("/srv/s")))["GIT_SHALLOW_FILE"] == "/srv/s"


def test_variables_of_one_call_override_all_others() -> None:
    environment = git_environment(NOWHERE, extra={**LITERAL_PATHS, **UTF8, "GIT_NAMESPACE": "two"})
    assert environment["GIT_NAMESPACE"] == "two"
    assert environment["LC_ALL"] == "C.UTF-8"
    assert environment["GIT_LITERAL_PATHSPECS"] == "1"
    assert git_environment(NOWHERE)["LC_ALL"] == "C"


def test_git_reads_a_folder_beneath_whose_name_has_a_colon_and_a_quote(work: WorkTree) -> None:
    old = work.write("blob", b"old")
    objects = work.folder / ".git" / "objects"
    odd = work.folder.parent / 'a:b"c\\d'
    objects.rename(odd)
    objects.mkdir()
    place = GitPlace(work.folder / ".git", objects, beneath=(odd,))
    assert run_git(place, "cat-file", "blob", old).stdout == b"old"


def test_objects_are_seen_in_both_folders_and_written_to_the_upper_one(work: WorkTree) -> None:
    old = work.write("blob", b"old")
    objects = work.folder / ".git" / "objects"
    upper = work.folder.parent / "upper"
    upper.mkdir()
    place = GitPlace(work.folder / ".git", upper, beneath=(objects,))
    new = run_git(place, "hash-object", "-w", "--stdin", stdin=b"new").stdout.decode().strip()
    assert run_git(place, "cat-file", "blob", old).stdout == b"old"
    assert run_git(place, "cat-file", "blob", new).stdout == b"new"
    assert (upper / new[:2] / new[2:]).exists()
    assert not (objects / new[:2] / new[2:]).exists()


def test_listed_commits_are_roots(work: WorkTree, tmp_path: Path) -> None:
    one = work.commit({"a": b"1"})
    two = work.commit({"a": b"2"})
    work.remove(one)
    shallow = tmp_path / "shallow"
    shallow.write_text(f"{two}\n")
    place = replace(work.place(), shallow_file=shallow)
    assert run_git(place, "rev-list", two).stdout.decode().split() == [two]


def test_configuration_of_one_call_adds_to_ours_or_replaces_it() -> None:
    plain = settings(git_environment(NOWHERE))
    changed = settings(git_environment(NOWHERE, config={"core.fsync": "none", "pack.threads": "1"}))
    assert plain["core.fsync"] == "all"
    assert changed == {**plain, "core.fsync": "none", "pack.threads": "1"}


def test_another_program_gets_fewer_variables_than_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "leaked")
    environment = program_environment(Path("/srv/of-it"))
    assert environment.keys() == {"PATH", "LC_ALL", "TZ", "HOME"}
    assert (environment["HOME"], environment["TZ"]) == ("/srv/of-it", "UTC")
