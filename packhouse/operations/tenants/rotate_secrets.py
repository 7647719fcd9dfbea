"""Changing the key that seals stored secrets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packhouse.auth import Sealed
from packhouse.db import (
    SealedRow,
    Session,
    list_sealed_passwords,
    list_sealed_secrets,
    reseal_password,
    reseal_secret,
)
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class RotateSecrets:
    """A change of the key. With `drop_old` the older keys are removed from the file at the end.

    A server that has not noticed the change may then seal a secret with a dropped key. A backup of the database needs
    the key file of its own time.
    """

    drop_old: bool = False


@dataclass(frozen=True, slots=True)
class Rotation:
    """The result: the new key's id, the number of secrets sealed anew, and the number of keys removed from the file."""

    key_id: str
    resealed: int
    dropped: int


def rotate_secrets(node: Node, command: RotateSecrets) -> Rotation:
    """Put a new key first in the file, and seal every stored secret anew with it.

    A running server reads the file again when it meets a secret that is sealed with the new key. Raises SealBroken when
    a key is missing; no secret is lost then.
    """
    key_id = node.secret_keys.rotate()
    resealed = _reseal_all(node, key_id, "git_credentials", list_sealed_passwords, reseal_password)
    resealed += _reseal_all(node, key_id, "webhooks", list_sealed_secrets, reseal_secret)
    dropped = node.secret_keys.drop_old() if command.drop_old else 0
    return Rotation(key_id, resealed, dropped)


def _reseal_all(
    node: Node,
    key_id: str,
    table: str,
    list_rows: Callable[..., Sequence[SealedRow]],
    reseal: Callable[..., None],
) -> int:
    after = count = 0
    while True:
        with node.database.read() as session:
            page = list_rows(session, except_key=key_id, after=after, limit=node.limits.prune_batch)
        if not page:
            return count
        fresh = [(row, _seal_anew(node, table, row)) for row in page]

        def write(session: Session, fresh: list[tuple[SealedRow, Sealed]] = fresh) -> None:
            for row, sealed in fresh:
                reseal(session, row, sealed=sealed.content, sealed_with=sealed.key_id)

        node.database.transact(write)
        after = page[-1].id
        count += len(page)


def _seal_anew(node: Node, table: str, row: SealedRow) -> Sealed:
    name = f"{table} {row.public_id}"
    secret = node.secret_keys.unseal(Sealed(row.sealed, row.sealed_with), bound_to=name)
    return node.secret_keys.seal(secret, bound_to=name)
