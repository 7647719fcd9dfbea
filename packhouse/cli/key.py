"""`packhouse key`: the public keys whose signatures on tokens the server believes."""

from pathlib import Path

import click

from packhouse.auth import KeyRejected, key_algorithm, parse_public_key
from packhouse.cli.command import PackhouseGroup
from packhouse.cli.key_file import KEY_FILE, read_key_file
from packhouse.cli.node import opened_node
from packhouse.cli.output import Record, json_option, print_outcome, print_table, time_text
from packhouse.clock import format_timestamp
from packhouse.operations.tenants.add_key import AddKey, add_key
from packhouse.operations.tenants.list_keys import Key, ListKeys, list_keys
from packhouse.operations.tenants.revoke_key import RevokeKey, revoke_key


@click.group("key", cls=PackhouseGroup)
def command() -> None:
    """Public keys of organisations. Changes act on running servers within seconds."""


@command.command("add")
@click.argument("org")
@click.argument("public_pem", type=KEY_FILE)
@click.option("--label", default="", help="Words that tell people which key this is.")
@click.option("--kid", default="", help="The name that tokens give this key in their header, if they do.")
@json_option
def add(*, org: str, public_pem: Path, label: str, kid: str, as_json: bool) -> None:
    """Let the private half of PUBLIC_PEM sign tokens of ORG. Prints the key's id as the last word.

    The file holds one PEM block 'BEGIN PUBLIC KEY': EC on P-256, RSA of 2048 bits or more, or Ed25519.
    """
    pem = read_key_file(public_pem)
    with opened_node() as node:
        key = add_key(node, AddKey(org, public_pem=pem, label=label, kid=kid))
    print_outcome(_record(key), f"added {_algorithm(key)} key {key.key_id}", as_json=as_json)


@command.command("list")
@click.argument("org")
@json_option
def list_(*, org: str, as_json: bool) -> None:
    """List the keys of ORG, newest first, revoked ones too."""
    with opened_node() as node:
        records = [_record(key) for key in list_keys(node, ListKeys(org))]
    columns = ["key_id", "algorithm", "kid", "label", "created_at", "revoked_at"]
    print_table(records, columns, as_json=as_json)


@command.command("revoke")
@click.argument("org")
@click.argument("key_id")
@json_option
def revoke(*, org: str, key_id: str, as_json: bool) -> None:
    """Believe no token any more that the key KEY_ID of ORG has signed or will sign."""
    with opened_node() as node:
        key = revoke_key(node, RevokeKey(org, key_id))
    print_outcome(_record(key), f"revoked {key.key_id}", as_json=as_json)


def _record(key: Key) -> Record:
    return {
        "key_id": key.key_id,
        "algorithm": _algorithm(key),
        "kid": key.kid,
        "label": key.label,
        "created_at": format_timestamp(key.created_at),
        "revoked_at": time_text(key.revoked_at),
    }


def _algorithm(key: Key) -> str:
    try:
        return key_algorithm(parse_public_key(key.public_pem))
    except KeyRejected:
        # The key was accepted under other rules or inserted by hand. It verifies nothing, but it can be revoked.
        return "unusable"
