"""Actors that run step by step, in an order that a seed decides.

Each actor is a thread, so it runs the server's own code unchanged. But only one thread runs at a time. An actor goes on
until its next named step, and there the scheduler chooses the next actor. So a run can be replayed.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_STUCK_S: Final = 60.0
_STEPS_MAX: Final = 20_000


class Killed(BaseException):
    """The actor's process is dead: nothing that the actor does from now on has an effect."""


class Stuck(AssertionError):
    """An actor reached no further step: it waits for something that another actor holds."""


def _taken() -> threading.Lock:
    """Return a held lock. One thread waits for it, and another releases it."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False)
class Actor:
    """One thread of a process. `awake_at` is the end of its pause, in the simulated time.

    `order` is a fault of world.py that its next step must also cause. `is_behind` tells that the database has failed
    over since the actor began its present work.
    """

    name: str
    host: str
    work: Callable[[], None]
    at: str = "start"
    awake_at: int = 0
    order: str = ""
    is_dead: bool = False
    is_done: bool = False
    in_transaction: bool = False
    has_connection: bool = True
    is_behind: bool = False
    failure: BaseException | None = None
    baton: threading.Lock = field(default_factory=_taken)


class Scheduler:
    """Runs actors one step at a time.

    `before_step` may disturb the chosen actor; False means that the actor does not go on now. `after_step` checks the
    world, and raises if it is wrong.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        now: Callable[[], int],
        before_step: Callable[[Actor], bool],
        after_step: Callable[[], None],
    ) -> None:
        self.rng = rng
        self.actors: list[Actor] = []
        self.trace: list[str] = []
        self._now = now
        self._before_step = before_step
        self._after_step = after_step
        self._here = threading.local()
        self._returned = _taken()
        # Some schedules change the actor at each step, others let one run on. Each finds other mistakes.
        self._stay = rng.choice((0.0, 0.3, 0.6, 0.9))
        self._last: Actor | None = None

    def spawn(self, name: str, host: str, work: Callable[[], None]) -> Actor:
        """Add an actor. It begins when it is first chosen."""
        actor = Actor(name, host, work)
        self.actors.append(actor)
        threading.Thread(target=self._live, args=(actor,), name=name, daemon=True).start()
        return actor

    @property
    def current(self) -> Actor | None:
        """The actor whose thread asks; None outside of actors."""
        return getattr(self._here, "actor", None)

    def step(self, name: str) -> str:
        """Let other actors go first. Does nothing outside of an actor's thread. Raises Killed in a dead actor.

        Returns the order that the actor got meanwhile.
        """
        actor = self.current
        if actor is None or actor.in_transaction:
            return ""
        if not actor.is_dead:
            actor.at = name
            self._returned.release()
            actor.baton.acquire()
        if actor.is_dead:
            raise Killed
        order, actor.order = actor.order, ""
        return order

    def die(self) -> None:
        """End the calling actor in the middle of a step."""
        actor = self.current
        assert actor is not None, "an actor dies"
        actor.is_dead = True
        raise Killed

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{'':14} {text}")

    def run(self, *, sleep_until: Callable[[int], None]) -> None:
        """Run until every actor is done. If all are paused, `sleep_until` moves the time on."""
        try:
            for _ in range(_STEPS_MAX):
                alive = [actor for actor in self.actors if not actor.is_done]
                if not alive:
                    return
                awake = [actor for actor in alive if actor.awake_at <= self._now()]
                if not awake:
                    sleep_until(min(actor.awake_at for actor in alive))
                    continue
                actor = self._choose(awake)
                self.trace.append(f"{len(self.trace):5} {self._now():8} {actor.name:14} {actor.at}")
                if self._before_step(actor) and not actor.is_done:
                    self._go(actor)
                self._after_step()
            raise Stuck(f"not done after {_STEPS_MAX} steps")
        finally:
            self.kill(self.actors)

    def kill(self, actors: list[Actor]) -> None:
        """End actors where they are, from outside. Their threads unwind, and nothing of that has an effect."""
        for actor in actors:
            if not actor.is_done:
                actor.is_dead = True
                self._go(actor)

    def _choose(self, awake: list[Actor]) -> Actor:
        if self._last not in awake or self.rng.random() >= self._stay:
            self._last = self.rng.choice(awake)
        assert self._last is not None
        return self._last

    def _go(self, actor: Actor) -> None:
        actor.baton.release()
        if not self._returned.acquire(timeout=_STUCK_S):
            raise Stuck(f"{actor.name} reached no step after {actor.at!r}")
        if actor.failure is not None:
            failure, actor.failure = actor.failure, None
            raise failure

    def _live(self, actor: Actor) -> None:
        self._here.actor = actor
        actor.baton.acquire()
        try:
            if not actor.is_dead:
                actor.work()
        except BaseException as error:  # noqa: BLE001  # for the thread that runs the simulation
            actor.failure = None if isinstance(error, Killed) else error
        finally:
            actor.is_done = True
            self._returned.release()
