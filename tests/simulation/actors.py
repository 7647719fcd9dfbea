"""The work of the actors: writers, readers, and maintainers of packs, all with the server's own code.

An actor may fail because of a race, an injected fault or a deletion. Any other failure ends the run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.refs import get_ref, list_ref_log, list_refs
from packhouse.db.repos import Repo, RepoNotFound, find_repo
from packhouse.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from packhouse.git.commands.run import run_git
from packhouse.git.objects.codec import MODE_FILE, encode_commit, parse_commit
from packhouse.git.objects.reader import ObjectMissing
from packhouse.git.objects.tree_edit import TreeEditor
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.fill_repo import FilledRepo, fill_repo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from packhouse.repository.damage import RepositoryDamaged
from packhouse.repository.refs.resolve import RefNotFound
from packhouse.repository.refs.writer import RefWriter
from packhouse.repository.stored_packs import sweep_packs
from packhouse.repository.upkeep.fork_objects import copy_objects
from packhouse.repository.upkeep.maintain import flush_repo, maintain
from packhouse.repository.upkeep.sweep import adopt_all
from packhouse.repository.view import RepoView, open_view
from packhouse.repository.write import Write
from tests.simulation.invariants import Violation
from tests.simulation.world import World
from tests.support.builders.node_writes import ADA

BRANCHES: Final = tuple(RefName(b"refs/heads/" + name) for name in (b"main", b"side", b"topic"))
_HISTORY_MAX: Final = 50
_GIT_SHARE: Final = 0.05  # a git process costs as much as the rest of a run
_ANY: Final = frozenset(range(256))


@dataclass(slots=True)
class Actors:
    """Makes the work of actors in one world. `caller` may do everything in the repositories `names`.

    Repositories in `passing` may be deleted. `asked` are the commits that an actor wanted lately.
    """

    world: World
    caller: Principal
    names: tuple[str, ...]
    passing: tuple[str, ...]
    asked: list[tuple[RefName, bytes, bytes]] = field(default_factory=list)

    def writer(self, host: str, count: int) -> Callable[[], None]:
        """Commit, branch, delete and undo, `count` times."""

        def work() -> None:
            for _ in range(count):
                deed = self.world.rng.choice(
                    (self._commit, self._commit, self._commit, self._branch, self._undo)
                )
                self._begin_deed()
                with self._judging():
                    deed(self.world.nodes[host], self._pick_name())

        return work

    def reader(self, host: str, count: int) -> Callable[[], None]:
        """Open a view and read everything that its refs reach, before and after a pause, `count` times."""

        def work() -> None:
            for _ in range(count):
                with self._judging():
                    self._read_all(self.world.nodes[host], self._pick_name())

        return work

    def joiner(self, host: str, count: int) -> Callable[[], None]:
        """Flush journals and join packs, `count` times: what is due, or what an operator asks for."""

        def work() -> None:
            for _ in range(count):
                self.world.scheduler.step("join")
                with self._judging():
                    node = self.world.nodes[host]
                    repo = self._find(node, self._pick_name())
                    self.world.rng.choice((maintain, maintain, flush_repo))(node, repo.public_id)

        return work

    def sweeper(self, host: str, count: int) -> Callable[[], None]:
        """Delete packs that waited too long, `count` times, with pauses."""

        def work() -> None:
            for _ in range(count):
                self.world.scheduler.step("sweep")
                limits = self.world.limits
                self.world.now += self.world.rng.choice((0, 60, limits.pack_keep_s, limits.incoming_grace_s))
                with self._judging():
                    sweep_packs(self.world.nodes[host])

        return work

    def adopter(self, host: str) -> Callable[[], None]:
        """Adopt the packs that an earlier release has left, like a starting server."""

        def work() -> None:
            self.world.scheduler.step("adopt")
            with self._judging():
                adopt_all(self.world.nodes[host], lambda: False)

        return work

    def forker(self, host: str) -> Callable[[], None]:
        """Fork a repository. Actors then write to the fork and read it too."""

        def work() -> None:
            self.world.scheduler.step("fork")
            with self._judging():
                self._fork(self.world.nodes[host], self._pick_name(), name=f"fork of {host}")

        return work

    def owner(self, host: str, count: int) -> Callable[[], None]:
        """Delete a repository, bring it back, and free the contents of deleted ones, `count` times."""

        def work() -> None:
            for _ in range(count):
                node, name = self.world.nodes[host], self.world.rng.choice(self.passing)
                self.world.scheduler.step("own")
                with self._judging():
                    self.world.rng.choice((self._delete, self._undelete, self._clean))(node, name)

        return work

    def disk(self) -> None:
        """Lose or change one live pack at some moment."""
        rng, world = self.world.rng, self.world
        for _ in range(rng.randint(1, 30)):
            world.scheduler.step("nothing yet")
        packs = sorted(
            (repo, name) for (repo, name), row in world.checker.state.packs.items() if row.state == "live"
        )
        if packs:
            repo, name = rng.choice(packs)
            world.damage(world.checker.state.repos[repo].public_id, name)

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Go on after a failure that the server may have."""
        try:
            yield
        except ObjectMissing as error:
            raise Violation(f"I1: an object is taken for absent: {error.fields}") from error
        except RepositoryDamaged as error:
            # The actor may have the id of a commit whose write a failover has undone.
            if not self.world.checker.damaged and not self._is_behind():
                raise Violation(f"I4: damage is told where there is none: {error.fields}") from error
            self.world.scheduler.note(f"fails: {error!r}")
        except (Conflict, PreconditionFailed, NotFound, Unavailable, OSError) as error:
            self.world.scheduler.note(f"fails: {error!r}")

    def _pick_name(self) -> str:
        return self.world.rng.choice(self.names)

    def _find(self, node: Node, name: str) -> Repo:
        with node.database.read() as session:
            repo = find_repo(session, self.caller.org_id, name)
        if repo is None:
            raise RepoNotFound(name)
        return repo

    def _tip(self, node: Node, repo: Repo, branch: RefName) -> Oid | None:
        with node.database.read() as session:
            ref = get_ref(session, repo.id, PERSISTENT, branch)
        return None if ref is None else ref.oid

    def _commit(self, node: Node, name: str) -> None:
        """Put a file on a branch. Often another actor puts the same file, like a client that asks again."""
        rng = self.world.rng
        if not self.asked or rng.random() < 0.6:
            request = rng.choice(BRANCHES), b"file-%d" % rng.randrange(4), b"content %d" % rng.randrange(6)
            self.asked = [*self.asked[-1:], request]
        branch, path, content = rng.choice(self.asked)
        repo = self._find(node, name)
        with open_view(node, repo) as view, Write(view) as write:
            tip = self._tip(node, repo, branch)
            parent_tree = None if tip is None else parse_commit(view.read_kept(tip, "commit")).tree
            editor = TreeEditor(view.read_tree, parent_tree)
            editor.upsert(TreePath(path), MODE_FILE, write.writer.add_object("blob", content))
            tree = editor.write(lambda tree: write.writer.add_object("tree", tree))
            parents = [] if tip is None else [tip]
            commit = write.writer.add_object(
                "commit",
                encode_commit(tree=tree, parents=parents, author=ADA, committer=ADA, message=b"m\n"),
            )
            refs = RefWriter(node, self.caller, repo, action="commit")
            allowed = refs.allow(RefUpdate(PERSISTENT, branch, tip, commit), is_fast_forward=lambda: True)
            refs.move([allowed], receipt=None, write=write)
        self._note_moved(repo, branch, commit)

    def _branch(self, node: Node, name: str) -> None:
        """Move a branch to the value of another one, or delete it."""
        rng = self.world.rng
        repo = self._find(node, name)
        source, target = rng.sample(BRANCHES[1:] if rng.random() < 0.5 else BRANCHES, 2)
        old = self._tip(node, repo, target)
        new = self._tip(node, repo, source) if old is None or rng.random() < 0.5 else None
        if old == new:
            return
        refs = RefWriter(node, self.caller, repo, action="branch")
        allowed = refs.allow(RefUpdate(PERSISTENT, target, old, new), is_fast_forward=lambda: False)
        refs.move([allowed], receipt=None)
        if new is not None:
            self._note_moved(repo, target, new)

    def _undo(self, node: Node, name: str) -> None:
        """Move a branch back to an earlier value, if its objects still exist, like restore_ref."""
        rng = self.world.rng
        repo, branch = self._find(node, name), rng.choice(BRANCHES)
        with node.database.read() as session:
            entries = list_ref_log(session, repo.id, ref=(PERSISTENT, branch), limit=_HISTORY_MAX)
        values = sorted({entry.new_oid for entry in entries if entry.new_oid is not None})
        if not values:
            return
        value = rng.choice(values)
        with open_view(node, repo) as view:
            if view.kind_and_size(value) is None:
                raise RefNotFound(value)
        tip = self._tip(node, repo, branch)
        refs = RefWriter(node, self.caller, repo, action="restore-ref")
        update = RefUpdate(PERSISTENT, branch, tip, value, restores=True)
        refs.move([refs.allow(update, is_fast_forward=lambda: False)], receipt=None)
        self._note_moved(repo, branch, value)

    def _fork(self, node: Node, source_name: str, *, name: str) -> None:
        source = self._find(node, source_name)
        with open_view(node, source) as view, Write(view) as write:
            with node.database.read() as session:
                refs = list_refs(session, source.id, PERSISTENT)
            copy_objects(write, sorted({ref.oid for ref in refs}))
            updates = [RefUpdate(PERSISTENT, ref.refname, None, ref.oid) for ref in refs]
            filled = FilledRepo(name, "main", updates, "fork")
            fill_repo(node, self.caller, filled, write, receipt=None)
        self.names = (*self.names, name)
        self.passing = (*self.passing, name)

    def _delete(self, node: Node, name: str) -> None:
        delete_repo(node, self.caller, DeleteRepo(name))

    def _undelete(self, node: Node, name: str) -> None:
        undelete_repo(node, self.caller, UndeleteRepo(name))

    def _clean(self, node: Node, name: str) -> None:
        repos = self.world.checker.state.repos.values()
        deleted = sorted(row.public_id for row in repos if row.deleted_at is not None)
        if deleted:
            clean_repo(node, CleanRepo(self.world.rng.choice(deleted)))

    def _begin_deed(self) -> None:
        actor = self.world.scheduler.current
        assert actor is not None, "actors do things"
        actor.is_behind = False

    def _is_behind(self) -> bool:
        actor = self.world.scheduler.current
        return actor is not None and actor.is_behind

    def _note_moved(self, repo: Repo, branch: RefName, oid: Oid) -> None:
        if not self._is_behind():  # otherwise the move may be lost
            self.world.moved.append((repo.id, branch, oid))

    def _read_all(self, node: Node, name: str) -> None:
        """Read everything that refs reach, again and again; sometimes with a git that starts late."""
        repo = self._find(node, name)
        with node.database.read() as session:
            tips = [ref.oid for ref in list_refs(session, repo.id, PERSISTENT)]
        with open_view(node, repo) as view:
            for _ in range(self.world.rng.randint(1, 3)):
                for tip in tips:
                    self._read_closure(view, repo, tip)
                self.world.scheduler.step(f"keep {repo.public_id} open")
            if tips and self.world.rng.random() < _GIT_SHARE:
                self._read_with_git(view, repo, tips)

    def _read_with_git(self, view: RepoView, repo: Repo, tips: list[Oid]) -> None:
        place = view.place()
        for _ in range(4):
            self.world.scheduler.step(f"git waits for its client in {repo.public_id}")
        lines = "".join(f"{tip}\n" for tip in tips).encode()
        answer = run_git(
            place, "rev-list", "--objects", "--no-object-names", "--stdin", stdin=lines, ok_codes=_ANY
        )
        checker = self.world.checker
        wanted = frozenset[Oid]().union(*(checker.objects.closure(tip) for tip in tips))
        if not checker.damaged and {*answer.stdout.decode().split()} != wanted:
            raise Violation(f"I5: git does not see what its view has: {answer.stderr[:200]!r}")

    def _read_closure(self, view: RepoView, repo: Repo, tip: Oid) -> None:
        """Read each object through the view. Undamaged objects must be there, as they were written."""
        checker = self.world.checker
        for oid in sorted(checker.objects.closure(tip)):
            try:
                found = view.read(oid)
            except RepositoryDamaged:
                if oid in checker.readable(repo.id):
                    raise
                continue
            if found != checker.objects.contents[oid]:
                raise Violation(f"I4: {oid} is read as something else")
