"""Archive of a large tree, next to git archive."""

from collections.abc import Iterator

from bench.context import Context
from bench.report import Measure
from bench.timing import take_turns, timed_git, timed_request
from bench.wide_tree import make_wide_tree


def run(context: Context) -> Iterator[Measure]:
    """Measure the time until the last byte of a tar.gz, as MB of tree a second."""
    git = context.git()
    size_mib = 2 if context.quick else 100
    source = context.folder / "source.git"
    make_wide_tree(git, source, size_mib=size_mib)
    repo = context.start_server().new_org().create_repo()
    git.run("push", "--quiet", repo.remote(), "main", cwd=source, timeout_s=600)
    sizes = []

    def ours() -> float:
        taken, size = timed_request(repo, "POST", "/api/v1/repos/archive")
        sizes.append(size)
        return taken

    mine, theirs = take_turns(
        context.count(3), ours, lambda: timed_git(git, source, "archive", "--format=tar.gz", "main")
    )
    baseline = size_mib / theirs
    yield Measure(f"git archive --format=tar.gz, {size_mib} MiB", baseline, "MiB/s")
    yield Measure(
        f"POST archive, {size_mib} MiB",
        size_mib / mine,
        "MiB/s",
        aim=3 * baseline,
        baseline=("git archive", baseline),
        note=f"{sizes[0] / 2**20:.0f} MiB compressed",
    )
