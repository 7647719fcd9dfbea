"""Commands with the options that every command takes, which tell where the data is."""

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
    """A group of these commands. It takes the two options as well, before the command's name."""

    command_class = PackhouseCommand

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(setting_options(NODE_SETTINGS))


PackhouseGroup.group_class = PackhouseGroup


class LazyGroup(PackhouseGroup):
    """A group that loads a command's module when the command is called.

    Loading the modules of the server, the database and libgit2 takes most of the time of a start. Scripts that only
    sign a token or add a key need not wait for that.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, loaded or not."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command after loading its module. In the module it is called `command`."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module(self._modules[cmd_name]).command
        assert isinstance(command, click.Command)
        return command
