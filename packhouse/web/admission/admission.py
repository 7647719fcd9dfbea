"""All bounds on the work of one server process."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.config import Config
from packhouse.limits import Limits
from packhouse.web.admission.branch_queue import BranchQueue
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.shares import Shares
from packhouse.web.admission.threads import WorkerThreads
from packhouse.web.admission.transfers import Transfers


@dataclass(frozen=True, slots=True)
class Admission:
    """The bounds on what runs at once. A new kind of bound is a new field, made in `open_admission`.

    `searches` are operations that a caller can make take many seconds. They leave threads for all other calls.
    `event_streams` are places for streams of events, which hold memory and a connection and no thread.
    """

    threads: WorkerThreads
    searches: Limiter
    transfers: Transfers
    branch_queue: BranchQueue
    event_streams: Shares

    def close(self) -> None:
        """Take no more work. Running work goes on to its end."""
        self.threads.close()
        self.transfers.close()


def open_admission(config: Config, node_limits: Limits) -> Admission:
    """Return the bounds of one server process, made from its settings and the limits of its node."""
    return Admission(
        threads=WorkerThreads(config.threads, waiting_max=limits.waiting_calls_max),
        searches=Limiter(max(1, config.threads // 2), parked_max=0, work="searches", limits=node_limits),
        transfers=Transfers(config.git_processes_max, node_limits),
        branch_queue=BranchQueue(),
        event_streams=Shares(limits.event_streams_max),
    )
