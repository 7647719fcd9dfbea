"""A running server and the organisations on it."""

import os
from pathlib import Path

from tests.support.builders.keys import KeyPair, make_key_pair
from tests.support.clients.repo import Org
from tests.support.servers.server_process import ServerOptions, ServerProcess


class Server(ServerProcess):
    """A server process with the organisations that tests made on it."""

    def __init__(self, folder: Path, options: ServerOptions) -> None:
        super().__init__(folder, options)
        self._orgs = 0
        self._shared_org: Org | None = None

    def new_org(self, pair: KeyPair | None = None) -> Org:
        """Create an organisation with one key through the command line."""
        self._orgs += 1
        name = f"org{self._orgs}-{os.getpid()}"
        pair = pair or make_key_pair()
        self.cli("org", "create", name)
        key_id = self.add_key(name, pair)
        return Org(server=self, name=name, pair=pair, key_id=key_id)

    def shared_org(self) -> Org:
        """Return an organisation that tests share if they only need their own repository."""
        if self._shared_org is None:
            self._shared_org = self.new_org()
        return self._shared_org
