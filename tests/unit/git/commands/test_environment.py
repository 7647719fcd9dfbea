"""What a child may know of this process, and of the machine."""

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

pytestmark = pytest.mark.quick


def settings(environment: dict[str, str]) -> dict[str, str]:
    """Return the configuration that an environment holds."""
    count = int(environment["GIT_CONFIG_COUNT"])
    return {environment[f"GIT_CONFIG_KEY_{n}"]: environment[f"GIT_CONFIG_VALUE_{n}"] for n in range(count)}


def test_nothing_is_inherited_but_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_place_says_where_the_repository_and_its_objects_are() -> None:
    place = GitPlace(Path("/srv/r.git"), {"GIT_OBJECT_DIRECTORY": "/srv/objects"})
    environment = git_environment(place)
    assert environment["GIT_DIR"] == "/srv/r.git"
    assert environment["GIT_OBJECT_DIRECTORY"] == "/srv/objects"


def test_what_one_call_adds_goes_before_the_place() -> None:
    place = GitPlace(None, {"GIT_NAMESPACE": "one", "LC_ALL": "C"})
    environment = git_environment(place, extra={**LITERAL_PATHS, **UTF8, "GIT_NAMESPACE": "two"})
    assert environment["GIT_NAMESPACE"] == "two"
    assert environment["LC_ALL"] == "C.UTF-8"
    assert environment["GIT_LITERAL_PATHSPECS"] == "1"
    assert git_environment(place)["GIT_NAMESPACE"] == "one"


def test_configuration_of_one_call_stands_beside_ours_or_in_its_place() -> None:
    plain = settings(git_environment(NOWHERE))
    changed = settings(git_environment(NOWHERE, config={"core.fsync": "none", "pack.threads": "1"}))
    assert plain["core.fsync"] == "all"
    assert changed == {**plain, "core.fsync": "none", "pack.threads": "1"}


def test_another_program_knows_less_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "leaked")
    environment = program_environment(Path("/home/of/it"))
    assert environment.keys() == {"PATH", "LC_ALL", "TZ", "HOME"}
    assert (environment["HOME"], environment["TZ"]) == ("/home/of/it", "UTC")
