"""git fetch: refs and objects of another server."""

from collections.abc import Callable, Iterable

from packhouse.git.commands.run import Runner
from packhouse.git.commands.transport.remote import Remote, RemoteFailed, find_fault, run_remote_git

_QUIETLY = (
    *("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
    *("--no-recurse-submodules", "--no-show-forced-updates"),
)


def fetch_refs(
    runner: Runner,
    remote: Remote,
    refs: Iterable[tuple[bytes, bytes]],
    *,
    allowed_faults: Iterable[str],
    timeout_s: float,
    watch: Callable[[], None],
) -> None:
    """Fetch refs, given as (name there, name here), with all that they lead to. A star in both names means any text.

    Objects are judged by git's fsck; `allowed_faults` are let through beside those that always are. What the refs here
    name is what git tells the other side that it has. Raises RemoteFailed and what `watch` raises.
    """
    specs = [b"+%s:%s" % (there, here) for there, here in refs]
    done = run_remote_git(
        runner,
        *("fetch", *_QUIETLY, remote.server.url),
        *(spec.decode("utf-8") for spec in specs),
        remote=remote,
        config={f"fetch.fsck.{name}": "ignore" for name in allowed_faults},
        timeout_s=timeout_s,
        watch=watch,
    )
    if done.code != 0:
        raise RemoteFailed(find_fault(done.stderr))
