"""The node that a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from packhouse.cli.settings import load_settings
from packhouse.config import ENV_PREFIX
from packhouse.node import NoData, Node, open_existing_node, open_node


@contextmanager
def opened_node(*, may_create: bool = False) -> Iterator[Node]:
    """Open the node of this run's settings for the length of a command.

    Only commands that set up an installation may create one. For any other command, a folder without data is the wrong
    folder.
    """
    settings = load_settings()
    try:
        node = open_node(settings) if may_create else open_existing_node(settings)
    except NoData as missing:
        name = missing.setting
        raise click.ClickException(
            f"no Packhouse data in {missing.place} (set --{name} or {ENV_PREFIX}{name.upper()})"
        ) from missing
    try:
        yield node
    finally:
        node.close()
