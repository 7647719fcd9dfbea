"""Settings as command-line options, made from the fields of Config."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Final, TypeVar

import click

from packhouse.cli.sentences import describe
from packhouse.config import ENV_PREFIX, Config, find_service_links, load_config
from packhouse.errors import Invalid
from packhouse.log import configure_logging, log_event

NODE_SETTINGS: Final = ("data", "database")
"""The settings that tell where the data is: options of every command. `serve`, `demo` and `worker` have the others."""

CREATION_SETTINGS: Final = ("accept_empty_database",)
"""Further settings of commands that may set up an installation."""

SERVER_SETTINGS: Final = tuple(
    f.name for f in fields(Config) if f.name not in (*NODE_SETTINGS, *CREATION_SETTINGS)
)

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


@dataclass
class Invocation:
    """One run of the program: its environment variables, and the settings given as options so far."""

    variables: Mapping[str, str]
    given: dict[str, object] = field(default_factory=dict)


def setting_options(names: Iterable[str]) -> list[click.Option]:
    """Return an option for each of these settings. Given values go to the Invocation."""
    by_name = {setting.name: setting for setting in fields(Config)}
    return [_make_option(by_name[name]) for name in names]


def with_server_settings(command: click.Command) -> click.Command:
    """Add the settings of a server to a command's options."""
    command.params.extend(setting_options(SERVER_SETTINGS))
    return command


def with_creation_settings(command: click.Command) -> click.Command:
    """Add the options of a command that may set up an installation."""
    command.params.extend(setting_options(CREATION_SETTINGS))
    return command


def load_settings() -> Config:
    """Return the settings of this run: options, then environment, then defaults.

    Raises click.UsageError when one of them is wrong.
    """
    invocation = click.get_current_context().find_object(Invocation)
    assert invocation is not None, "the program starts with one"
    try:
        return load_config(invocation.given, invocation.variables)
    except Invalid as fault:
        raise click.UsageError(describe(fault)) from fault


def start_logging(config: Config) -> None:
    """Turn the log on, for commands that run for long. First log the variables that were ignored."""
    configure_logging(config.log_level)
    invocation = click.get_current_context().find_object(Invocation)
    links = find_service_links(invocation.variables) if invocation is not None else []
    if links:
        log_event(
            "variables ignored that Kubernetes sets for a service", level=logging.WARNING, variables=links
        )


def _make_option(setting: "Field[Any]") -> click.Option:
    if setting.type is bool:
        return click.Option(
            [f"--{setting.name.replace('_', '-')}"],
            is_flag=True,
            default=None,  # an absent option is not "no", because the variable may say yes
            help=f"{setting.metadata['help']}  [{ENV_PREFIX}{setting.name.upper()}=1]",
            expose_value=False,
            callback=_remember,
        )
    return click.Option(
        [f"--{setting.name.replace('_', '-')}"],
        type=click.INT if setting.type is int else click.STRING,
        metavar=_metavar(setting),
        help=_help(setting),
        expose_value=False,
        callback=_remember,
    )


def _metavar(setting: "Field[Any]") -> str:
    if setting.type is int:
        return "N"
    if setting.name == "data":
        return "DIR"
    return "FILE" if setting.type is not str else "TEXT"


def _help(setting: "Field[Any]") -> str:
    unit = f", in {setting.metadata['unit']}" if "unit" in setting.metadata else ""
    default = "none" if setting.default in (None, "", MISSING) else str(setting.default)
    variable = f"{ENV_PREFIX}{setting.name.upper()}"
    return f"{setting.metadata['help']}{unit}  [{variable}; default: {default}]"


def _remember(context: click.Context, option: click.Parameter, value: object) -> None:
    invocation = context.find_object(Invocation)
    if invocation is not None and value is not None and option.name is not None:
        invocation.given[option.name] = value
