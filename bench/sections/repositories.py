"""Repositories created, each with a token of its own that must be verified."""

from collections.abc import Iterator

from bench.context import Context, measure, request_bytes
from bench.report import Measure

CLIENTS = 8


def run(context: Context) -> Iterator[Measure]:
    """Measure creations with one client and with eight."""
    server = context.start_server()
    org = server.new_org()
    for clients in (1, CLIENTS):
        streams = []
        for client in range(clients):
            names = [f"burst/{clients}-{client}-{n}" for n in range(context.count(4000 // clients))]
            streams.append(
                [
                    request_bytes(
                        org,
                        "POST",
                        "/api/v1/repos",
                        token=org.sign(repo=name, scopes=["repo:write"]),
                        body=b'{"default_branch":"main"}',
                        kind="application/json",
                    )
                    for name in names
                ]
            )
        outcome = measure(server, streams)
        yield Measure(
            f"created over HTTP, {clients} client{'s' if clients > 1 else ''}",
            outcome.rate(201),
            "/s",
            aim=1500 if clients > 1 else None,
            note=outcome.note(),
        )
