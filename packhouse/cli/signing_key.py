"""`packhouse signing-key`: the public keys whose signatures on commits count under the policy `verify-sig`."""

from pathlib import Path

import click

from packhouse.cli.command import PackhouseGroup
from packhouse.cli.key_file import KEY_FILE, read_key_file
from packhouse.cli.node import opened_node
from packhouse.cli.output import Record, json_option, print_outcome, print_table, time_text
from packhouse.clock import format_timestamp
from packhouse.operations.tenants.add_signing_key import AddSigningKey, add_signing_key
from packhouse.operations.tenants.list_signing_keys import ListSigningKeys, SigningKeyRow, list_signing_keys
from packhouse.operations.tenants.revoke_signing_key import RevokeSigningKey, revoke_signing_key


@click.group("signing-key", cls=PackhouseGroup)
def command() -> None:
    """Keys that sign an organisation's commits. Changes act on the next push."""


@command.command("add")
@click.argument("org")
@click.argument("public_key", type=KEY_FILE)
@click.option("--label", default="", help="Words that tell people whose key this is.")
@json_option
def add(*, org: str, public_key: Path, label: str, as_json: bool) -> None:
    """Accept signatures of PUBLIC_KEY on commits of ORG. Prints the key's id as the last word.

    The file holds one OpenPGP public key block (gpg --export --armor), one line of an SSH allowed-signers
    file, or one SSH public key.
    """
    text = read_key_file(public_key)
    with opened_node() as node:
        row = add_signing_key(node, AddSigningKey(org, text=text, label=label))
    print_outcome(
        _record(row),
        f"added {row.kind} signing key {row.fingerprint} as {row.signing_key_id}",
        as_json=as_json,
    )


@command.command("list")
@click.argument("org")
@json_option
def list_(*, org: str, as_json: bool) -> None:
    """List the signing keys of ORG, newest first, revoked ones too."""
    with opened_node() as node:
        records = [_record(row) for row in list_signing_keys(node, ListSigningKeys(org))]
    columns = ["signing_key_id", "kind", "fingerprint", "label", "created_at", "revoked_at"]
    print_table(records, columns, as_json=as_json)


@command.command("revoke")
@click.argument("org")
@click.argument("signing_key_id")
@json_option
def revoke(*, org: str, signing_key_id: str, as_json: bool) -> None:
    """Accept no signature of the key SIGNING_KEY_ID of ORG any more, old ones included."""
    with opened_node() as node:
        row = revoke_signing_key(node, RevokeSigningKey(org, signing_key_id))
    print_outcome(_record(row), f"revoked {row.signing_key_id}", as_json=as_json)


def _record(row: SigningKeyRow) -> Record:
    return {
        "signing_key_id": row.signing_key_id,
        "kind": row.kind,
        "fingerprint": row.fingerprint,
        "label": row.label,
        "created_at": format_timestamp(row.created_at),
        "revoked_at": time_text(row.revoked_at),
    }
