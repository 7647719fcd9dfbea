"""What git says about pushed objects while they are still in quarantine."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packhouse import limits
from packhouse.git.kill_switch import KillSwitch
from packhouse.git.oid import Oid
from packhouse.git.process import GitResult, run_git
from packhouse.storage.pack_store import PackStore
from packhouse.storage.quarantine import Quarantine

_SHALLOW_NAME = "shallow-of-client"
_SUCCESS = frozenset({0})
_ANSWERS = frozenset({0, 1, 128})  # yes, no, and what git says of objects that it cannot find
_TIPS_JUDGED_ONE_BY_ONE_MAX = 100


@dataclass(frozen=True, slots=True)
class PushedKind:
    """Kind of a new value; `peeled_oid` is what an annotated tag leads to in the end, None for other kinds."""

    kind: str
    peeled_oid: Oid | None


@dataclass(frozen=True, slots=True)
class PushedObjects:
    """The repository as it would be with the pushed objects in it. `git_dir` is None when it holds nothing."""

    store: PackStore
    repo_id: str
    git_dir: Path | None
    environment: Mapping[str, str]

    @contextlib.contextmanager
    def hold(self) -> Iterator[tuple[int, ...]]:
        """Keep the repository's packs in place; give the descriptors that a git child inherits."""
        if not self.store.has_repo(self.repo_id):
            yield ()
            return
        with self.store.hold(self.repo_id) as lock:
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

    def read_kinds(self, oids: Sequence[Oid], switch: KillSwitch) -> dict[Oid, PushedKind]:
        """Return the kinds of those of `oids` that exist, tags of missing objects left out."""
        if self.git_dir is None:
            return {}
        names = [name for oid in oids for name in (oid, f"{oid}^{{}}")]
        ask = ("cat-file", "--batch-check=%(objectname) %(objecttype)")
        listed = self._run(ask, names, switch, limits.git_call_max_s, ok_codes=_SUCCESS)
        lines = listed.stdout.decode("ascii").splitlines()
        kinds = {}
        for oid, line, peeled_line in zip(oids, lines[::2], lines[1::2], strict=True):
            kind, peeled_oid = line.partition(" ")[2], peeled_line.partition(" ")[0]
            if "missing" in (kind, peeled_line.partition(" ")[2]):
                continue
            kinds[oid] = PushedKind(kind, Oid(peeled_oid) if kind == "tag" else None)
        return kinds

    def is_connected(self, tips: Sequence[Oid], known: Sequence[Oid], switch: KillSwitch) -> bool:
        """Tell whether nothing is missing below `tips` that is not below `known`, which is complete."""
        revisions = [*tips, *(f"^{oid}" for oid in known)]
        walk = ("rev-list", "--objects", "--quiet", "--stdin")
        return self._run(walk, revisions, switch, limits.connectivity_check_max_s).code == 0

    def is_ancestor(self, ancestor: Oid, descendant: Oid, switch: KillSwitch) -> bool:
        """Tell whether `ancestor` is reachable from `descendant`; False when either is no commit."""
        test = ("merge-base", "--is-ancestor", ancestor, descendant)
        return self._run(test, (), switch, limits.git_call_max_s).code == 0

    def _run(
        self,
        args: Sequence[str],
        lines: Sequence[str],
        switch: KillSwitch,
        timeout_s: float,
        *,
        ok_codes: frozenset[int] = _ANSWERS,
    ) -> GitResult:
        with self.hold() as locks:
            return run_git(
                self.git_dir,
                *args,
                stdin="".join(f"{line}\n" for line in lines).encode("ascii"),
                env=self.environment,
                pass_fds=locks,
                ok_codes=ok_codes,
                timeout_s=timeout_s,
                on_start=switch.attach,
            )


def open_objects(store: PackStore, repo_id: str, quarantine: Quarantine | None) -> PushedObjects:
    """Return the view on a repository through a quarantine, or on the repository alone."""
    repo_path = store.repo_path(repo_id) if store.has_repo(repo_id) else None
    if quarantine is None:
        return PushedObjects(store, repo_id, repo_path, {})
    return PushedObjects(store, repo_id, quarantine.make_repository(), quarantine.environment(repo_path))


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
