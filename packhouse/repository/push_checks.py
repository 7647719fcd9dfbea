"""What git says about pushed objects while they are still in quarantine."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packhouse import limits
from packhouse.db.repos import Repo
from packhouse.errors import Corrupt, LimitExceeded
from packhouse.git.kill_switch import KillSwitch
from packhouse.git.oid import Oid
from packhouse.git.process import GitResult, run_git
from packhouse.git.reader import FreshReader, ObjectReader, Objects, tag_target
from packhouse.node.node import Node
from packhouse.repository.damage import check_answer, holds_objects, require_sound, telling_damage
from packhouse.repository.view import hold_packs
from packhouse.storage.quarantine import Quarantine

_SHALLOW_NAME = "shallow-of-client"
_ANSWERS = frozenset({0, 1, 128})  # yes, no, and what git says of objects that it cannot find
_TIPS_JUDGED_ONE_BY_ONE_MAX = 100
_LOOKED_FOR_AGAIN_MAX = 10


@dataclass(frozen=True, slots=True)
class PushedKind:
    """Kind of a new value; `peeled_oid` is what an annotated tag leads to in the end, None for other kinds."""

    kind: str
    peeled_oid: Oid | None


@dataclass(frozen=True, slots=True)
class PushedObjects:
    """The repository as it would be with the pushed objects in it. `git_dir` is None when it holds nothing.

    What the repository itself has lost raises RepositoryDamaged: it is no fault of the push.
    """

    node: Node
    repo: Repo
    git_dir: Path | None
    environment: Mapping[str, str]

    @contextlib.contextmanager
    def hold(self) -> Iterator[tuple[int, ...]]:
        """Keep the repository's packs in place; give the descriptors that a git child inherits."""
        if not holds_objects(self.node, self.repo):
            yield ()
            return
        with hold_packs(self.node, self.repo) as lock:
            yield (lock,)

    def write_shallow_file(self, shallow: Sequence[Oid]) -> Mapping[str, str]:
        """Return what makes git take the client's cut-off commits for roots; nothing when there are none.

        Without it the strict check of a pack from a shallow clone stops at the first parent that it cannot
        find, with a message that does not say so. Source: shallow.c, GIT_SHALLOW_FILE.
        """
        if not shallow or self.git_dir is None:
            return {}
        path = self.git_dir / _SHALLOW_NAME
        path.write_text("".join(f"{oid}\n" for oid in shallow))
        return {"GIT_SHALLOW_FILE": str(path)}

    def read_kinds(self, oids: Iterable[Oid]) -> dict[Oid, PushedKind]:
        """Return the kinds of those of `oids` that exist, tags of missing objects left out.

        Raises LimitExceeded for an annotated tag that is too large to be read in process.
        """
        if self.git_dir is None:
            return {}
        reader = ObjectReader(self.git_dir)
        with telling_damage(self.node, self.repo):
            kinds = {oid: _read_kind(reader, oid) for oid in oids}
            if absent := [oid for oid, kind in kinds.items() if kind is None]:
                require_sound(self.node, self.repo)
                fresh = FreshReader(self.git_dir, self.environment)
                kinds |= {oid: _read_kind(fresh, oid) for oid in absent[:_LOOKED_FOR_AGAIN_MAX]}
        return {oid: kind for oid, kind in kinds.items() if kind is not None}

    def is_connected(self, tips: Sequence[Oid], known: Sequence[Oid], switch: KillSwitch) -> bool:
        """Tell whether nothing is missing below `tips` that is not below `known`, which is complete."""
        revisions = [*tips, *(f"^{oid}" for oid in known)]
        walk = ("rev-list", "--objects", "--quiet", "--stdin")
        return self._run(walk, revisions, switch, limits.connectivity_check_max_s).code == 0

    def is_ancestor(self, ancestor: Oid, descendant: Oid, switch: KillSwitch) -> bool:
        """Tell whether `ancestor` is reachable from `descendant`; False when either is no commit."""
        test = ("merge-base", "--is-ancestor", ancestor, descendant)
        return self._run(test, (), switch, limits.git_call_max_s).code == 0

    def list_commits(
        self, include: Iterable[Oid], exclude: Iterable[Oid], switch: KillSwitch, *, count_max: int
    ) -> list[Oid]:
        """Return up to `count_max` commits reachable from `include` and not from `exclude`, newest first.

        What does not exist, and what is neither a commit nor a tag, leads to none.
        """
        if self.git_dir is None:
            return []
        walk = ("rev-list", "--ignore-missing", f"--max-count={count_max}", "--stdin")
        lines = [*include, *(f"^{oid}" for oid in exclude)]
        listed = self._run(walk, lines, switch, limits.git_call_max_s)
        if listed.code != 0:
            raise Corrupt("history cannot be walked", reason=listed.stderr.decode("utf-8", "replace")[:300])
        return [Oid(line.decode("ascii")) for line in listed.stdout.split()]

    def _run(
        self,
        args: Sequence[str],
        lines: Sequence[str],
        switch: KillSwitch,
        timeout_s: float,
    ) -> GitResult:
        with self.hold() as locks:
            answer = run_git(
                self.git_dir,
                *args,
                stdin="".join(f"{line}\n" for line in lines).encode("ascii"),
                env=self.environment,
                pass_fds=locks,
                ok_codes=_ANSWERS,
                timeout_s=timeout_s,
                on_start=switch.attach,
            )
            # What a push lacks is its own fault, unless the repository should have it.
            check_answer(self.node, self.repo, answer, may_lack=True)
            return answer


def open_objects(node: Node, repo: Repo, quarantine: Quarantine | None) -> PushedObjects:
    """Return the view on a repository through a quarantine, or on the repository alone."""
    repo_path = node.store.repo_path(repo.public_id) if holds_objects(node, repo) else None
    if quarantine is None:
        return PushedObjects(node, repo, repo_path, {})
    if repo_path is not None:
        # git takes the environment's word, libgit2 reads the file (gitrepository-layout(5)).
        alternates = quarantine.object_dir / "info" / "alternates"
        alternates.write_text(f"{repo_path.absolute() / 'objects'}\n")
    return PushedObjects(node, repo, quarantine.make_repository(), quarantine.environment(repo_path))


def find_pack_idx(quarantine: Quarantine) -> Path:
    """Return the idx of the one pack that index-pack has left in a quarantine."""
    (path,) = quarantine.pack_dir.glob("pack-*.idx")
    return path


def _read_kind(reader: Objects, oid: Oid) -> PushedKind | None:
    """Return the kind of an object, annotated tags followed; None when something on the way is missing."""
    at = oid
    for _ in range(limits.tag_chain_max):
        header = reader.kind_and_size(at)
        if header is None:
            return None
        kind, size = header
        if kind != "tag":
            return PushedKind(kind, None) if at == oid else PushedKind("tag", at)
        if size > limits.object_in_process_max_bytes:
            raise LimitExceeded("annotated tag is too large", max_bytes=limits.object_in_process_max_bytes)
        at = tag_target(reader.read(at)[1])
    raise LimitExceeded("annotated tag leads through too many tags", max_tags=limits.tag_chain_max)


def find_unconnected(
    objects: PushedObjects, tips: Sequence[Oid], known: Sequence[Oid], switch: KillSwitch
) -> set[Oid]:
    """Return those of `tips` below which something is missing.

    One walk proves them all. Only when it fails is each judged alone, so that good refs of the push proceed; of
    a great many tips none does then.
    """
    if objects.is_connected(tips, known, switch):
        return set()
    if len(tips) == 1 or len(tips) > _TIPS_JUDGED_ONE_BY_ONE_MAX:
        return set(tips)
    return {tip for tip in tips if not objects.is_connected([tip], known, switch)}
