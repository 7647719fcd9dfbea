"""Time that passes only when a node sleeps."""

from packhouse.node.node import Node


class SteadyTime:
    """Replaces a node's clocks and its sleep. `slept_s` lists the length of each sleep."""

    def __init__(self, node: Node, *, now: float = 1000) -> None:
        self.now = now
        self.slept_s: list[float] = []
        node.clock = lambda: int(self.now)
        node.monotonic = lambda: self.now
        node.sleep = self._sleep

    def pass_by(self, seconds: float) -> None:
        """Move the time on without a sleep."""
        self.now += seconds

    def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now += seconds
