"""`packhouse secrets`: the key that seals stored secrets."""

import click

from packhouse.cli.command import PackhouseGroup
from packhouse.cli.node import opened_node
from packhouse.cli.output import json_option, print_record
from packhouse.operations.tenants.rotate_secrets import RotateSecrets, rotate_secrets


@click.group("secrets", cls=PackhouseGroup)
def command() -> None:
    """Stored passwords and webhook secrets."""


@command.command("rotate")
@click.option("--drop-old", is_flag=True, help="Take the older keys out of the key file at the end.")
@json_option
def rotate(*, drop_old: bool, as_json: bool) -> None:
    """Make a new key and seal every stored secret anew with it.

    Run it once without --drop-old while servers run. Backups of the database need the keys of their time.
    """
    with opened_node() as node:
        done = rotate_secrets(node, RotateSecrets(drop_old=drop_old))
    record = {"key_id": done.key_id, "resealed": done.resealed, "keys_dropped": done.dropped}
    print_record(record, as_json=as_json)
