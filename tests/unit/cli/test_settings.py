"""Settings as options: on the right commands, before the environment, and refused when they are wrong."""

from dataclasses import fields

import click
import pytest

from packhouse.cli.command import LazyGroup, PackhouseGroup
from packhouse.cli.main import COMMANDS, root
from packhouse.cli.settings import (
    CREATION_SETTINGS,
    NODE_SETTINGS,
    SERVER_SETTINGS,
    Invocation,
    load_settings,
    setting_options,
)
from packhouse.config import Config
from tests.unit.cli.conftest import Program

pytestmark = pytest.mark.quick


def load(*args: str, **variables: str) -> Config:
    """Return the settings of a program that takes every one of them."""
    found: list[Config] = []
    command = click.Command("all", callback=lambda: found.append(load_settings()))
    command.params.extend(setting_options(setting.name for setting in fields(Config)))
    invocation = Invocation({f"PACKHOUSE_{name.upper()}": value for name, value in variables.items()})
    command.main(list(args), prog_name="all", obj=invocation, standalone_mode=False)
    return found[0]


def commands() -> dict[str, click.Command]:
    """Return every command by its words."""
    found: dict[str, click.Command] = {}
    context = click.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": below for inner, below in command.commands.items()}
    return found


def options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_every_setting_is_an_option_of_one_kind_of_command() -> None:
    assert sorted((*NODE_SETTINGS, *CREATION_SETTINGS, *SERVER_SETTINGS)) == sorted(
        setting.name for setting in fields(Config)
    )


def test_every_command_finds_the_data() -> None:
    for name, command in commands().items():
        assert {"--data", "--database"} <= options(command), name


def test_a_server_takes_every_setting_and_other_commands_only_those_of_the_data() -> None:
    of_server = {f"--{name.replace('_', '-')}" for name in SERVER_SETTINGS}
    for name, command in commands().items():
        assert (
            of_server <= options(command)
            if name in {"serve", "demo"}
            else name == "worker" or not (of_server & options(command))
        ), name


def test_only_commands_that_set_up_an_installation_may_accept_an_empty_database() -> None:
    taking = {name for name, command in commands().items() if "--accept-empty-database" in options(command)}
    assert taking == {"serve", "demo", "org create"}


def test_every_command_says_what_it_does_and_every_option_what_it_means() -> None:
    for name, command in commands().items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (name, parameter.opts)


def test_an_option_wins_over_a_variable_and_a_variable_over_the_default() -> None:
    assert load().threads == Config().threads
    assert load(threads="3").threads == 3
    assert load("--threads", "5", threads="3").threads == 5


def test_a_flag_that_is_not_given_leaves_the_variable_to_decide() -> None:
    assert load().accept_empty_database is False
    assert load(accept_empty_database="1").accept_empty_database is True
    assert load("--accept-empty-database").accept_empty_database is True


@pytest.mark.parametrize(("name", "value"), [("threads", "many"), ("threads", "0"), ("listen", "nowhere")])
def test_a_wrong_variable_stops_the_program_and_is_named(name: str, value: str) -> None:
    with pytest.raises(click.UsageError, match=name):
        load(**{name: value})


def test_help_tells_variable_and_default_of_a_setting(program: Program) -> None:
    text = " ".join(program.run("serve", "--help").split())
    assert "--threads N" in text
    assert f"[PACKHOUSE_THREADS; default: {Config().threads}]" in text


def test_a_command_is_loaded_when_it_is_called() -> None:
    group = LazyGroup("top", modules={"absent": "packhouse.cli.there_is_no_such_module"})
    context = click.Context(group)
    assert group.list_commands(context) == ["absent"]
    assert group.get_command(context, "other") is None
    with pytest.raises(ModuleNotFoundError):
        group.get_command(context, "absent")


def test_the_program_has_a_module_for_each_command() -> None:
    assert set(root.list_commands(click.Context(root))) == set(COMMANDS)
    assert all(isinstance(command, click.Command) for command in commands().values())
    assert PackhouseGroup.group_class is PackhouseGroup


@pytest.mark.parametrize("args", [["nope"], ["org", "nope"], ["org", "create"], ["org", "list", "extra"]])
def test_an_unknown_command_and_a_missing_argument_are_wrong_calls(program: Program, args: list[str]) -> None:
    assert "Usage: packhouse" in program.usage(*args)


def test_the_data_may_be_named_anywhere_in_the_command(program: Program) -> None:
    data = str(program.data)
    program.run("org", "create", "acme")
    for args in (["org", "list", "--data", data], ["org", "--data", data, "list"]):
        result = program.try_run(*args, variables={})
        assert "acme" in result.stdout, result.output
