"""`packhouse demo`: a server with example repositories, and command lines to try."""

import json
import shlex
from typing import Final
from urllib.parse import quote

import click

from packhouse.auth import Scope, sign_token
from packhouse.cli.command import PackhouseCommand
from packhouse.cli.node import opened_node
from packhouse.cli.settings import (
    load_settings,
    start_logging,
    with_creation_settings,
    with_server_settings,
)
from packhouse.clock import system_clock
from packhouse.config import Config
from packhouse.jobs.background import start_background
from packhouse.operations.demo.prepare_demo import Demo, PrepareDemo, prepare_demo
from packhouse.web.edge.serve import open_listener, serve

TOKEN_TTL_S: Final = 30 * 86400

_WELCOME: Final = """\
Packhouse serves {url} with organisation {org}, whose private key is
{key_path}

Read a file with curl:

{curl}

Clone with git:

{clone}

Commit with the Python SDK (pip install pierre-storage):

{python}

Follow the examples of docs/reference, whose repository is {shop}:

{examples}

The tokens in these lines are good for 30 days; starting again prints new ones and keeps the data.
Ctrl-C stops the server.
"""

_PYTHON: Final = """\
python3 - <<'PY'
import asyncio
from pierre_storage import GitStorage

storage = GitStorage({{
    "name": {org},
    "key": open({key_path}).read(),
    "api_base_url": {url},
    "storage_base_url": {host},
}})

async def main():
    repo = await storage.find_one(id={repo})
    commit = repo.create_commit(
        target_branch={branch},
        commit_message="Greet from Python",
        author={{"name": "Ada", "email": "ada@example.com"}},
    )
    result = await commit.add_file("greetings/python.txt", b"Hello from Python\\n").send()
    print("committed", result["commit_sha"])
    print("files", (await repo.list_files())["paths"])

asyncio.run(main())
PY"""


@with_creation_settings
@with_server_settings
@click.command("demo", cls=PackhouseCommand)
def command() -> int:
    """Serve a demo organisation with a key and two repositories, and print lines to try it with.

    One repository is to play with, the other is what the examples of the documents are about. Takes the settings
    of `serve`. Starting it again keeps the data.
    """
    config = load_settings()
    # Another program may have the address. The user must learn that before anything is made and printed.
    open_listener(config.listen).close()
    with opened_node(may_create=True) as node:
        prepared = prepare_demo(node, PrepareDemo())
    welcome = _WELCOME.format(**_lines(config, prepared))
    start_logging(config)
    return serve(config, start_background, announce=lambda: click.echo(welcome))


def _lines(config: Config, demo: Demo) -> dict[str, str]:
    url = _url(config)
    scheme, _, host = url.partition("://")
    token = _sign(demo, demo.repo, Scope.GIT_READ, Scope.GIT_WRITE)
    shop_token = _sign(demo, demo.shop, Scope.GIT_READ, Scope.GIT_WRITE, Scope.REPO_WRITE)
    file_url = f"{url}/api/repos/{quote(demo.repo, safe='')}/file?path=README.md"
    clone_url = f"{scheme}://t:{token}@{host}/{quote(demo.repo)}.git"
    names = {"org": demo.org, "repo": demo.repo, "branch": demo.branch, "key_path": str(demo.key_path)}
    return {
        **names,
        "url": url,
        "curl": shlex.join(["curl", "-H", f"Authorization: Bearer {token}", file_url]),
        "shop": demo.shop,
        "examples": f"export SERVER={shlex.quote(url)} TOKEN={shop_token}",
        "clone": shlex.join(["git", "clone", clone_url]),
        "python": _PYTHON.format(
            **{k: json.dumps(v) for k, v in (names | {"url": url, "host": host}).items()}
        ),
    }


def _sign(demo: Demo, repo: str, *scopes: Scope) -> str:
    return sign_token(
        demo.key,
        issuer=demo.org,
        subject="packhouse demo",
        repo=repo,
        scopes=scopes,
        issued_at=system_clock(),
        ttl_s=TOKEN_TTL_S,
    )


def _url(config: Config) -> str:
    """Return the address that a client on this machine uses."""
    if config.public_url:
        return config.public_url.rstrip("/")
    host, _, port = config.listen.rpartition(":")
    local = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104  # looked up, not bound
    return f"{'https' if config.tls_cert else 'http'}://{local}:{port}"
