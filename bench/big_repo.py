"""Repositories large enough to tell algorithms apart, made with git fast-import."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

from tests.support.git import Git

_PERSON = b"Ada <ada@example.test>"
_START = 1_700_000_000


def make_history(
    git: Git, folder: Path, *, files: int, commits: int, changes: int = 10, seed: int = 1
) -> None:
    """Make a bare repository whose main has `files` small files and `commits` commits of `changes` files each."""
    git.run("init", "--quiet", "--bare", folder)
    stream = b"".join(_history(random.Random(seed), files, commits, changes))
    git.run("fast-import", "--quiet", cwd=folder, stdin=stream, timeout_s=600)


def file_path(number: int) -> str:
    """Return the path of a file: a hundred files in each folder, ten folders in each folder."""
    return f"area{number // 1000}/part{number // 100 % 10}/file{number % 100:02}.txt"


def _history(chance: random.Random, files: int, commits: int, changes: int) -> Iterator[bytes]:
    for number in range(commits):
        yield b"commit refs/heads/main\n"
        yield b"committer %s %d +0000\n" % (_PERSON, _START + number)
        yield _data(b"change %d" % number)
        chosen = range(files) if number == 0 else chance.sample(range(files), changes)
        for file in chosen:
            yield b"M 100644 inline %s\n" % file_path(file).encode()
            yield _data(_text(chance, number))


def _text(chance: random.Random, number: int) -> bytes:
    rare = b"needle\n" if chance.random() < 0.002 else b""
    return b"line one of change %d\n%s%s\n" % (number, rare, chance.randbytes(60).hex().encode())


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def make_long_file(git: Git, folder: Path, *, commits: int, seed: int = 2) -> None:
    """Make a bare repository with one file, `long.txt`, of 2,000 lines that `commits` commits changed."""
    git.run("init", "--quiet", "--bare", folder)
    chance = random.Random(seed)
    lines = [chance.randbytes(20).hex() for _ in range(2000)]
    stream = []
    for number in range(commits):
        for _ in range(5):
            lines[chance.randrange(len(lines))] = chance.randbytes(20).hex()
        stream.append(b"commit refs/heads/main\n")
        stream.append(b"committer %s %d +0000\n" % (_PERSON, _START + number))
        stream.append(_data(b"change %d" % number) + b"M 100644 inline long.txt\n")
        stream.append(_data("\n".join([*lines, ""]).encode()))
    git.run("fast-import", "--quiet", cwd=folder, stdin=b"".join(stream), timeout_s=600)


def make_wide_tree(git: Git, folder: Path, *, size_mib: int) -> None:
    """Make a bare repository with one commit of source-like text, `size_mib` MiB in files of 64 KiB."""
    git.run("init", "--quiet", "--bare", folder)
    words = [os.urandom(4).hex().encode() for _ in range(4000)]
    chance = random.Random(3)
    stream = [b"commit refs/heads/main\n", b"committer %s %d +0000\n" % (_PERSON, _START), _data(b"Start")]
    for number in range(size_mib * 16):
        text = b" ".join(chance.choices(words, k=7300))[: 64 * 1024]
        stream.append(b"M 100644 inline %s\n" % file_path(number).encode())
        stream.append(_data(text))
    git.run("fast-import", "--quiet", cwd=folder, stdin=b"".join(stream), timeout_s=600)
