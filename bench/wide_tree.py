"""A repository with much text in one commit, made with git fast-import."""

import os
import random
from pathlib import Path

from tests.support.clients.git import Git

FILE_BYTES = 64 * 1024


def make_wide_tree(git: Git, folder: Path, *, size_mib: int) -> None:
    """Make a bare repository with one commit of source-like text, `size_mib` MiB in files of 64 KiB."""
    git.run("init", "--quiet", "--bare", folder)
    words = [os.urandom(4).hex().encode() for _ in range(4000)]
    chance = random.Random(3)
    stream = [b"commit refs/heads/main\ncommitter Ada <ada@example.test> 1700000000 +0000\ndata 0\n"]
    for number in range(size_mib * 2**20 // FILE_BYTES):
        text = b" ".join(chance.choices(words, k=FILE_BYTES // 9 + 100))[:FILE_BYTES]
        stream.append(b"M 100644 inline part%d/file%d.txt\n" % (number // 100, number))
        stream.append(b"data %d\n%s\n" % (len(text), text))
    git.run("fast-import", "--quiet", cwd=folder, stdin=b"".join(stream), timeout_s=600)
