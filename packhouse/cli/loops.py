"""What a server process does in the background, whichever command starts it."""

from typing import Final

from packhouse.jobs.maintenance import maintain_packs

LOOPS: Final = (maintain_packs,)
