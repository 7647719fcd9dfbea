"""Metadata of all files of a large repository, next to one pass of git log."""

from collections.abc import Iterator

from bench.big_repo import file_path, make_history
from bench.context import Context
from bench.report import Measure
from bench.timing import timed_git, timed_request

TARGET = "/api/v1/repos/files/metadata"


def run(context: Context) -> Iterator[Measure]:
    """Measure the first listing after a push, the next one, and the one after one more commit."""
    git = context.git()
    files, commits = (1000, 50) if context.quick else (50_000, 2000)
    source = context.folder / "source.git"
    make_history(git, source, files=files, commits=commits)
    server = context.start_server()
    repo = server.new_org().create_repo()
    git.run("push", "--quiet", repo.remote(), "main", cwd=source, timeout_s=600)
    passes = [timed_git(git, source, "log", "--name-status", "--format=%H", "main") for _ in range(3)]
    one_pass = min(passes) * 1000
    yield Measure(
        f"git log --name-status, {files:,} files, {commits:,} commits", one_pass, "ms", better="lower"
    )
    cold, size = timed_request(repo, "GET", TARGET)
    yield Measure(
        "cold: nothing known of the repository",
        cold * 1000,
        "ms",
        better="lower",
        aim=1.5 * one_pass,
        baseline=("git log", one_pass),
        note=f"{size / 2**20:.1f} MiB of JSON",
    )
    warm, _ = timed_request(repo, "GET", TARGET)
    yield Measure("again", warm * 1000, "ms", better="lower")
    page = f"{TARGET}?limit=200"
    timed_request(repo, "GET", page)
    first_page, _ = timed_request(repo, "GET", page)
    yield Measure("again, one page of 200", first_page * 1000, "ms", better="lower")
    repo.write_commit("main", {file_path(7): b"one more\n"})
    after, _ = timed_request(repo, "GET", page)
    yield Measure("after one more commit, one page of 200", after * 1000, "ms", better="lower", aim=50)
    repo.write_commit("main", {file_path(8): b"one more\n"})
    whole, _ = timed_request(repo, "GET", TARGET)
    yield Measure("after one more commit, all files", whole * 1000, "ms", better="lower")
