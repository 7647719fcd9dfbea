"""`packhouse serve`: run the server."""

import click

from packhouse.cli.command import PackhouseCommand
from packhouse.cli.settings import (
    load_settings,
    start_logging,
    with_creation_settings,
    with_server_settings,
)
from packhouse.jobs.background import start_background
from packhouse.web.edge.serve import serve


@with_creation_settings
@with_server_settings
@click.command("serve", cls=PackhouseCommand)
def command() -> int:
    """Serve repositories until SIGTERM or SIGINT; then let running requests finish."""
    config = load_settings()
    start_logging(config)
    return serve(config, start_background)
