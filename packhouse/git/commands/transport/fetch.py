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
    """Fetch refs, given as (name there, name here), with their objects. A star in both names means any text.

    Git's fsck checks the objects; `allowed_faults` are let through in addition to the faults that are always allowed.
    In the negotiation git offers the objects of the refs here. Raises RemoteFailed and the errors of `watch`.
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
