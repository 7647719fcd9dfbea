"""One run of the simulation. A seed decides what happens and in which order."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.simulation.actors import Actors
from tests.simulation.beginnings import make_repos
from tests.simulation.invariants import Violation
from tests.simulation.world import World

NAMES: Final = ("one", "two")
_CHOSEN: Final = ("one", "one", "one", "two")
"""The repositories. An actor chooses one at random from this tuple."""

_DAMAGE_SHARE: Final = 0.1
_ADOPTER_SHARE: Final = 0.3
_FORK_SHARE: Final = 0.3
_OWNER_SHARE: Final = 0.3


def run(seed: int, data: Path, *, plant: Callable[[World], None] = lambda _world: None) -> World:
    """Run to the end and return the closed world. The notes of a raised error have the schedule.

    `plant` may put a mistake in before anything happens.
    """
    world = World(seed, data)
    plant(world)
    try:
        caller = make_repos(world, NAMES)
        actors = Actors(world, caller, _CHOSEN, ("two",))
        _spawn(world, actors)
        world.checker.begin()
        world.scheduler.run(sleep_until=world.sleep_until)
        _check_told(world)
        _check_settled(world, actors)
    except BaseException as error:
        trace = "\n".join(world.scheduler.trace)
        error.add_note(f"seed {seed}; the schedule until then:\n{trace}")
        raise
    finally:
        world.close()
    return world


def _spawn(world: World, actors: Actors) -> None:
    rng, spawn = world.rng, world.scheduler.spawn
    for number in range(rng.randint(2, 4)):
        host = rng.choice("ab")
        spawn(f"writer {number} {host}", host, actors.writer(host, rng.randint(4, 10)))
    for number in range(rng.randint(1, 3)):
        host = rng.choice("ab")
        spawn(f"reader {number} {host}", host, actors.reader(host, rng.randint(1, 3)))
    for host in "ab":
        spawn(f"joiner {host}", host, actors.joiner(host, rng.randint(2, 5)))
        spawn(f"sweeper {host}", host, actors.sweeper(host, rng.randint(3, 8)))
    if rng.random() < _ADOPTER_SHARE:
        spawn("adopter b", "b", actors.adopter("b"))
    if rng.random() < _FORK_SHARE and not world.may_fail_over:
        spawn("forker a", "a", actors.forker("a"))
    if rng.random() < _OWNER_SHARE and not world.may_fail_over:
        spawn("owner a", "a", actors.owner("a", rng.randint(2, 6)))
        spawn("owner b", "b", actors.owner("b", rng.randint(2, 6)))
    if rng.random() < _DAMAGE_SHARE:
        spawn("disk", "disk", actors.disk)

    def after_crash(host: str) -> None:
        spawn(f"sweeper {host}", host, actors.sweeper(host, 2))
        spawn(f"reader {host}", host, actors.reader(host, 1))

    world.on_restart = after_crash


def _check_told(world: World) -> None:
    """Check that each update that a caller was told of is in the ref log while the repository lives."""
    for repo, branch, oid in world.moved:
        if world.checker.state.repos[repo].deleted_at is not None:
            continue
        row = world.memory.truth.execute(
            "SELECT 1 FROM ref_log WHERE repo_id = ? AND refname = ? AND new_oid = ?",
            (repo, branch.decode(), oid),
        ).fetchone()
        if row is None:
            raise Violation(f"the move of {branch!r} to {oid} was told and is lost")


def _check_settled(world: World, actors: Actors) -> None:
    """Check that adoption and sweeping at the end leave only the packs that refs and undo need."""
    is_disturbed = world.be_calm()
    world.now += world.limits.incoming_grace_s + world.limits.pack_keep_s
    world.scheduler.spawn("adopter a", "a", actors.adopter("a"))
    world.scheduler.spawn("sweeper a", "a", actors.sweeper("a", 1))
    world.scheduler.run(sleep_until=world.sleep_until)
    world.checker.check_settled(is_disturbed=is_disturbed)
