"""`packhouse token`: sign a token with a private key, as a customer's program would."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from packhouse.auth import (
    KNOWN_OPS,
    ORGANISATION_CLAIM,
    RefPolicy,
    RefRules,
    Scope,
    parse_private_key,
    refs_claim,
    sign_token,
)
from packhouse.cli.command import PackhouseCommand
from packhouse.clock import system_clock
from packhouse.limits import key_file_max_bytes, token_max_bytes

TTL_S: Final = 3600
TTL_MAX_S: Final = 100 * 365 * 86400
SCOPE: Final = click.Choice([scope.value for scope in Scope])


@click.command("token", cls=PackhouseCommand)
@click.argument("org")
@click.argument("more_scopes", metavar="", nargs=-1, type=SCOPE)
@click.option(
    "--key",
    "key_path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file with the private key whose public half is registered for ORG.",
)
@click.option(
    "--repo",
    default=ORGANISATION_CLAIM,
    help="Repository the token is for; without it the token is for calls to the organisation.",
)
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    type=SCOPE,
    help="What the token allows; may be repeated, or followed by more scopes.",
)
@click.option(
    "--ttl",
    "ttl_s",
    default=TTL_S,
    show_default=True,
    type=click.IntRange(1, TTL_MAX_S),
    metavar="SECONDS",
    help="How long the token is valid.",
)
@click.option(
    "--ref-policy",
    "policies",
    multiple=True,
    metavar="PATTERN=OP,…",
    help="Rule on which refs the token may change; may be repeated, the first that matches decides. "
    f"Operations: {', '.join(sorted(KNOWN_OPS))}; none after = allows everything.",
)
@click.option("--subject", default="packhouse", show_default=True, help="Who the token is for, in logs.")
def command(
    *,
    org: str,
    key_path: Path,
    repo: str,
    scopes: Sequence[str],
    more_scopes: Sequence[str],
    ttl_s: int,
    policies: Sequence[str],
    subject: str,
) -> None:
    """Print a token of the organisation ORG, signed with its private key.

    Needs no server and no database: whoever has the private key can sign.
    """
    rules = _parse_rules(policies)
    with key_path.open("rb") as file:
        key = parse_private_key(file.read(key_file_max_bytes))
    token = sign_token(
        key,
        issuer=org,
        subject=subject,
        repo=repo,
        scopes=[Scope(scope) for scope in (*scopes, *more_scopes)],
        issued_at=system_clock(),
        ttl_s=ttl_s,
        rules=rules,
    )
    if len(token) > token_max_bytes:
        raise click.UsageError(
            f"the token would be larger than {token_max_bytes} bytes, which no server takes"
        )
    click.echo(token)


def _parse_rules(policies: Sequence[str]) -> RefRules:
    rules = []
    for policy in policies:
        # A pattern may hold an equals sign, an operation may not.
        pattern, equals, ops = policy.rpartition("=")
        if not equals:
            raise click.UsageError(f"--ref-policy must be PATTERN=OP,…, not {policy}")
        rules.append((pattern, [op for op in ops.split(",") if op]))
    invalid = RefPolicy.parse(refs_claim(rules)).invalid
    if invalid:
        raise click.UsageError(f"--ref-policy: {invalid}")
    for op in sorted({op for _, ops in rules for op in ops} - KNOWN_OPS):
        click.echo(f"packhouse: operation {op} is unknown; every change of such refs is refused", err=True)
    return rules
