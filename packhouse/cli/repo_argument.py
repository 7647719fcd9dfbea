"""The argument ORG/NAME of commands. Names of repositories hold slashes: the first slash ends the organisation."""

import click


def split_repo(argument: str) -> tuple[str, str]:
    """Return organisation and name. Raises click.BadParameter for an argument without both."""
    org, _, name = argument.partition("/")
    if not org or not name:
        raise click.BadParameter(f"{argument!r} is not ORG/NAME")
    return org, name
