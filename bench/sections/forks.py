"""Forks of a small template and of a large repository, and the first sync of a thousand refs."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.context import Context
from bench.report import Measure
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server_process import ServerOptions
from tests.support.servers.upstreams import follow, pull

MIB = 2**20
SMALL_FILES = 200


def run(context: Context) -> Iterator[Measure]:
    """Measure time and written bytes of forks with and without shared packs, then a sync."""
    git = context.git()
    server = context.start_server(ServerOptions(settings={"log_level": "warning"}))
    org = server.new_org()
    template = org.create_repo("bench/template")
    template.write_commit("main", {f"src/file{n}.py": os.urandom(5 * 1024) for n in range(SMALL_FILES)})
    yield from _measure(context, template, f"{SMALL_FILES} files, 1 MiB", "main", aim_s=0.1)
    size_mib = 4 if context.quick else 1024
    large = _make_large(git, org, context.folder / "large", size_mib)
    yield from _measure(context, large, f"{size_mib} MiB, all of it", None, aim_s=30)
    yield from _measure(context, large, f"{size_mib} MiB, rewritten", "main", aim_s=30)
    yield from _measure_sync(context, template)


def _make_large(git: Git, org: Org, folder: Path, size_mib: int) -> Repo:
    """Return a repository in one pack. Its branch `rest` has a file that `main` lacks."""
    git.init(folder)
    git.run("config", "core.compression", "0", cwd=folder)  # compressing random bytes would only take time
    git.run("config", "core.bigFileThreshold", "1m", cwd=folder)
    piece = max(1, size_mib // 64)
    git.commit(folder, {f"data/{n}": os.urandom(piece * MIB) for n in range(size_mib // piece)})
    git.run("checkout", "--quiet", "-b", "rest", cwd=folder)
    git.commit(folder, {"secret": b"not on main\n"})
    repo = org.create_repo("bench/large")
    git.run("push", "--quiet", repo.remote(), "main", "rest", cwd=folder, timeout_s=900)
    return repo


def _measure(
    context: Context, source: Repo, what: str, ref: str | None, *, aim_s: float
) -> Iterator[Measure]:
    base = {
        "provider": "code",
        "owner": source.org.name,
        "name": source.name,
        "operation": "fork",
        "auth": {"token": source.token()},
    }
    if ref is not None:
        base["ref"] = ref
    took = []
    for _ in range(min(5, context.count(100))):
        fork = source.org.repo()
        begin = time.perf_counter()
        reply = fork.create(base_repo=base)
        took.append(time.perf_counter() - begin)
        assert reply.status_code == 201, reply.text
    written = _bytes_of_its_own(source, reply.json()["repo_id"])
    note = f"{written / MIB:.1f} MiB written"
    yield Measure(f"fork of {what}", sorted(took)[len(took) // 2], "s", "lower", aim=aim_s, note=note)


def _bytes_of_its_own(source: Repo, public_id: str) -> int:
    """Return the bytes in the folder of a repository that it does not share with another one."""
    (folder,) = source.org.server.data.glob(f"repos/*/*/{public_id}")
    sizes = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(status.st_size for status in sizes if status.st_nlink == 1)


def _measure_sync(context: Context, upstream: Repo) -> Iterator[Measure]:
    count = context.count(1000)
    git = context.git()
    work = git.clone(upstream.remote(), context.folder / "refs-work")
    specs = [f"main:refs/heads/topic/{n}" for n in range(count)]
    git.run("push", "--quiet", "origin", *specs, cwd=work, timeout_s=300)
    settings = {"trusted_hosts": upstream.org.server.url, "log_level": "warning"}
    mirror = follow(context.start_server(ServerOptions(settings=settings)).new_org(), upstream)
    begin = time.perf_counter()
    pull(mirror)
    yield Measure(f"sync of {count} refs", time.perf_counter() - begin, "s", "lower")
