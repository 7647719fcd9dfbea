"""The released TypeScript client, in its own Node process."""

import base64
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.clients.repo import Org

_FOLDER = Path(__file__).resolve().parents[2] / "js"
_CLIENT = _FOLDER / "client.mjs"


class SdkError(Exception):
    """An error that the client threw: its class name, `status` and `reason` as the client set them."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__(fields["message"])
        self.name = fields["name"]
        self.status = fields.get("status")
        self.reason = fields.get("reason")
        self.ref_update: dict[str, str] = fields.get("refUpdate") or {}


class TypeScriptClient:
    """Calls methods of the client. Use it as a context manager. With `token` the client has no key."""

    def __init__(self, org: Org, *, token: str | None = None) -> None:
        node = shutil.which("node")
        assert node, "Node 20 or newer is needed; `make test` provides it"
        assert (_FOLDER / "node_modules/@pierre/storage").is_dir(), "run: npm ci --prefix tests/js"
        server = org.server
        self._process = subprocess.Popen(
            [node, str(_CLIENT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": "", **({"NODE_EXTRA_CA_CERTS": str(server.ca)} if server.ca else {})},
            text=True,
        )
        self._send(
            {
                "name": org.name,
                **({"token": token} if token else {"key": org.pair.private_pem}),
                "apiBaseUrl": server.recorded_url,
                "storageBaseUrl": server.host_port,
            }
        )

    def __enter__(self) -> "TypeScriptClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=120)

    def _send(self, line: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def call(self, op: str, repo: str | None = None, **args: Any) -> Any:
        """Call a method with one object as its argument. Raises SdkError if the client throws."""
        self._send({"op": op, "args": args, **({} if repo is None else {"repo": repo})})
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the client ended with status {self._process.wait()}"
        answer = json.loads(line)
        if "error" in answer:
            raise SdkError(answer["error"])
        return answer["value"]

    def commit(self, repo: str, message: str, files: Mapping[str, bytes], **options: Any) -> Any:
        """Make a commit with the client's builder, on main unless `targetBranch` is given."""
        modes: Mapping[str, str] = options.pop("modes", {})
        listed = [
            {"path": path, "base64": base64.b64encode(content).decode(), "mode": modes.get(path)}
            for path, content in files.items()
        ]
        author = {"name": "Grace", "email": "grace@example.test"}
        usual = {"targetBranch": "main", "commitMessage": message, "author": author}
        return self.call("commit", repo, files=listed, **{**usual, **options})

    def read(self, repo: str, path: str, **options: Any) -> tuple[int, bytes]:
        """Read a file; return status and bytes."""
        answer = self.call("readFile", repo, path=path, **options)
        return answer["status"], base64.b64decode(answer["base64"])


def validate_webhook(body: str, headers: Mapping[str, str], secret: str) -> Any:
    """Return the result of the released TypeScript validator for a webhook request."""
    node = shutil.which("node")
    assert node, "Node 20 or newer is needed; `make test` provides it"
    done = subprocess.run(
        [node, str(_FOLDER / "validate_webhook.mjs")],
        input=json.dumps({"body": body, "headers": dict(headers), "secret": secret}),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout)
