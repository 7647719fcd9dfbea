"""git clone and git push of a repository of 20 files, next to nginx with git-http-backend."""

import contextlib
import itertools
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.context import Context, make_files
from bench.nginx import NginxGit, missing_programs
from bench.report import Measure
from tests.support.clients.git import Git

OURS = "packhouse"
FILES = 20

Remotes = dict[str, str]
"""Name of a server to the address of its copy of the repository."""


def run(context: Context) -> Iterator[Measure | str]:
    """Measure whole git commands. The servers take turns, so that noise affects all of them."""
    git = context.git()
    source = git.init(context.folder / "source")
    git.commit(source, make_files(FILES, 2048), "Start")
    server = context.start_server()
    repo = server.new_org().create_repo()
    git.run("push", "--quiet", repo.remote(), "main", cwd=source)
    remotes: Remotes = {OURS: repo.remote()}
    with contextlib.ExitStack() as stack:
        if missing := missing_programs():
            yield f"  not compared with nginx: {', '.join(missing)} not installed"
        else:
            nginx = stack.enter_context(NginxGit(context.folder / "nginx", git))
            nginx.add_repo("shop.git", source)
            for buffering in ("off", "on"):
                remotes[f"nginx, fastcgi_buffering {buffering}"] = nginx.remote(
                    "shop.git", buffering=buffering
                )
        yield from _measures("git ls-remote", _ls_remote(context, git, remotes))
        yield from _measures("git clone", _clone(context, git, remotes))
        yield from _measures("git push of one commit", _push(context, git, remotes))


def _measures(name: str, found: dict[str, float]) -> Iterator[Measure]:
    others = {server: value for server, value in found.items() if server != OURS}
    best = min(others.items(), key=lambda item: item[1]) if others else None
    for server, milliseconds in found.items():
        mine = server == OURS and best is not None
        yield Measure(
            f"{name}: {server}",
            milliseconds,
            "ms",
            better="lower",
            aim=best[1] if mine and best else None,
            baseline=("the better nginx", best[1]) if mine and best else None,
        )


def _take_turns(
    context: Context, remotes: Remotes, action: Callable[[str, str], None], rounds: int
) -> dict[str, float]:
    """Return each server's median in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in remotes}
    for _ in range(context.count(rounds)):
        for name, remote in remotes.items():
            begin = time.perf_counter()
            action(name, remote)
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) * 1000 for name, taken in times.items()}


def _ls_remote(context: Context, git: Git, remotes: Remotes) -> dict[str, float]:
    return _take_turns(context, remotes, lambda _name, remote: void(git.ls_remote(remote)), 40)


def _clone(context: Context, git: Git, remotes: Remotes) -> dict[str, float]:
    target = context.folder / "clone"
    numbers = itertools.count()

    def clone(_name: str, remote: str) -> None:
        git.clone(remote, target / str(next(numbers)))

    found = _take_turns(context, remotes, clone, 40)
    shutil.rmtree(target)
    return found


def _push(context: Context, git: Git, remotes: Remotes) -> dict[str, float]:
    works: dict[str, Path] = {}
    for number, (name, remote) in enumerate(remotes.items()):
        works[name] = git.clone(remote, context.folder / f"work{number}")
    rounds = context.count(40)
    times: dict[str, list[float]] = {name: [] for name in remotes}
    for number in range(rounds):
        for server, (name, work) in enumerate(works.items()):
            git.commit(work, {"src/part0/new.txt": f"{number} of {name}\n".encode()})
            begin = time.perf_counter()
            git.run("push", "--quiet", "origin", f"main:branch{server}", cwd=work)
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) * 1000 for name, taken in times.items()}


def void(_value: object) -> None:
    """Throw a result away."""
