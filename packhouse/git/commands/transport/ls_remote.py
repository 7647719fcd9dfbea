"""git ls-remote: the refs of another server."""

from collections.abc import Callable, Iterable

from packhouse.git.commands.run import Runner
from packhouse.git.commands.transport.remote import Remote, RemoteFailed, find_fault, run_remote_git


def list_remote_refs(
    runner: Runner,
    remote: Remote,
    names: Iterable[bytes],
    *,
    timeout_s: float,
    watch: Callable[[], None],
) -> set[bytes]:
    """Return the refs of the other server whose full name is one of `names`, or ends in a slash and one of `names`.

    Raises RemoteFailed and the errors of `watch`.
    """
    patterns = [name.decode("utf-8") for name in names]
    done = run_remote_git(
        runner,
        *("ls-remote", "--refs", remote.server.url, *patterns),
        remote=remote,
        timeout_s=timeout_s,
        watch=watch,
    )
    if done.code != 0:
        raise RemoteFailed(find_fault(done.stderr))
    return {line.split(b"\t", 1)[-1] for line in done.stdout.splitlines()}
