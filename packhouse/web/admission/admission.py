"""Everything that bounds the work of one server process, in one place."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.config import Config
from packhouse.limits import Limits
from packhouse.web.admission.branch_queue import BranchQueue
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.threads import WorkerThreads
from packhouse.web.admission.transfers import Transfers


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may run now. Each bound is a field: a bound of a new kind is a field more, made in `open_admission`.

    `searches` are operations that a caller can make take many seconds; they leave threads for all others.
    """

    threads: WorkerThreads
    searches: Limiter
    transfers: Transfers
    branch_queue: BranchQueue

    def close(self) -> None:
        """Take no more work; what runs goes on to its end."""
        self.threads.close()
        self.transfers.close()


def open_admission(config: Config, node_limits: Limits) -> Admission:
    """Return the bounds of one server process, from its settings and from the limits of its node."""
    return Admission(
        threads=WorkerThreads(config.threads, waiting_max=limits.waiting_calls_max),
        searches=Limiter(max(1, config.threads // 2), parked_max=0, work="searches", limits=node_limits),
        transfers=Transfers(config.git_processes_max, node_limits),
        branch_queue=BranchQueue(),
    )
