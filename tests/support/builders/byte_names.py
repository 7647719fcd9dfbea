"""A history with file names that are not UTF-8, as old systems wrote them."""

import base64
from collections.abc import Mapping
from pathlib import Path

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

LATIN = b"caf\xe9.txt"
SHOWN = "caf\N{REPLACEMENT CHARACTER}.txt"
FOLDER = b"d\xfer"
INSIDE = b"d\xfer/a\xffb.txt"
LINK = b"l\xefnk"


def encode(path: bytes) -> str:
    """Return a path in the base64 form of answers."""
    return base64.b64encode(path).decode("ascii")


def push_files(
    repo: Repo,
    git: Git,
    work: Path,
    *changes: Mapping[bytes, bytes | None],
    branch: str = "main",
    base: str = "",
) -> list[str]:
    """Push one commit for each mapping of path to content. Return their ids.

    None deletes a path. A name that ends in `nk` is a symlink. The first commit is a root commit, or a child of the
    branch `base` in the same folder.
    """
    if not (work / ".git").exists():
        git.init(work)
    script = b""
    for number, files in enumerate(changes):
        script += b"commit refs/heads/%s\nmark :%d\n" % (branch.encode(), number + 1)
        script += b"committer A <a@x> %d +0000\ndata 1\nm\n" % (1_767_342_600 + number)
        if number == 0 and base:
            script += b"from refs/heads/%s^0\n" % base.encode()
        for path, content in files.items():
            quoted = b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'
            if content is None:
                script += b"D %s\n" % quoted
                continue
            mode = b"120000" if path.endswith(b"nk") else b"100644"
            script += b"M %s inline %s\ndata %d\n%s\n" % (mode, quoted, len(content), content)
    git.run("fast-import", "--quiet", "--force", "--date-format=raw", cwd=work, stdin=script)
    git.run("push", "--quiet", "--force", repo.remote(), branch, cwd=work)
    listed = git.run("rev-list", "--reverse", f"--max-count={len(changes)}", branch, cwd=work)
    return listed.split()
