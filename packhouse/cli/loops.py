"""What a server process does in the background, whichever command starts it."""

from typing import Final

from packhouse.jobs.deliver_webhooks import deliver_webhooks
from packhouse.jobs.maintenance import maintain_packs
from packhouse.jobs.worker import run_jobs

LOOPS: Final = (maintain_packs, run_jobs, deliver_webhooks)
