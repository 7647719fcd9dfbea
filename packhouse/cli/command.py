"""Commands that all know where the data is."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from packhouse.cli.settings import NODE_SETTINGS, setting_options


class PackhouseCommand(click.Command):
    """A command that takes `--data` and `--database` besides its own options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(setting_options(NODE_SETTINGS))


class PackhouseGroup(click.Group):
    """A group of such commands; it takes the two options as well, before the command's name."""

    command_class = PackhouseCommand

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(setting_options(NODE_SETTINGS))


PackhouseGroup.group_class = PackhouseGroup


class LazyGroup(PackhouseGroup):
    """A group that loads a command's module when the command is called.

    The modules of the server, of the database drivers and of libgit2 take half a second to load, which scripts
    that sign a token or add a key would pay each time.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, loaded or not."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, loading its module: the one thing in there that is named `command`."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module(self._modules[cmd_name]).command
        assert isinstance(command, click.Command)
        return command
