"""Commands that all know where the data is."""

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
