"""The only way to change refs: several at once, each by compare-and-swap, logged, in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Final

from packhouse.db.journal import JournalSize, insert_journal_rows
from packhouse.db.packs import make_packs_live
from packhouse.db.repos import RepoNotFound, find_repo_by_id
from packhouse.db.session import Session, SqlValue
from packhouse.errors import Code, Conflict, Invalid, NotFound, PackhouseError
from packhouse.git import (
    HEADS,
    PERSISTENT,
    NewNameRefused,
    NotAnObjectId,
    Oid,
    RefName,
    RefNameInvalid,
    is_oid,
    is_refname,
    new_name_fault,
    trusted_refname,
)
from packhouse.git.packs import MemoryPack, Pack
from packhouse.ids import RepoKey

__all__ = [
    "AppliedUpdates",
    "DefaultBranchProtected",
    "RefMismatch",
    "RefMissing",
    "RefNameConflict",
    "RefOutcome",
    "RefUpdate",
    "apply_ref_updates",
    "preview_ref_updates",
]

_NAMES_PAGE: Final = 256
_PLACES_MAX: Final = 2**20
"""How many refs of one transaction get a creation number of their own; further refs sort by name. As in migration 4."""
_ROOT_PARTS: Final = 2  # `refs` and `refs/heads` are folders of every repository and never refs


class RefNamedTwice(Invalid):
    """Two updates of one transaction are for the same ref."""

    code = Code.REF_NAMED_TWICE
    refname: RefName


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Move a ref from `old_oid` to `new_oid`; None means that it does not exist before, or after.

    With `any_old` the ref is moved whatever its value is. `peeled_oid` is the oid that a new annotated tag finally
    points to. An update from None to None changes nothing and succeeds if the ref does not exist. `restores` tells
    that the ref existed before. Such a ref may have a name that no new ref can have.
    """

    namespace: str
    refname: RefName
    old_oid: Oid | None
    new_oid: Oid | None
    peeled_oid: Oid | None = None
    any_old: bool = False
    restores: bool = False


@dataclass(frozen=True, slots=True)
class RefOutcome:
    """The result of an update. It was applied if `error` is None. `previous_oid` is the ref's value before it."""

    update: RefUpdate
    previous_oid: Oid | None
    error: PackhouseError | None = None

    @property
    def moved(self) -> bool:
        """Whether the ref has another value now. False also for an update to the value that it had."""
        return self.error is None and self.previous_oid != self.update.new_oid


@dataclass(frozen=True, slots=True)
class AppliedUpdates:
    """The outcomes of a ref transaction, and the size of the repository's journal after it."""

    outcomes: list[RefOutcome]
    journal: JournalSize


class RefMismatch(Conflict):
    """The ref has another value than the caller expected. `actual` is its value, None for an absent ref."""

    code = Code.REF_MISMATCH
    refname: RefName
    _: KW_ONLY
    expected: Oid | None
    actual: Oid | None


class RefMissing(NotFound):
    """The ref to delete does not exist."""

    code = Code.REF_MISSING
    refname: RefName


class RefNameConflict(Conflict, kw_only=True):
    """The name of the ref is a folder of another ref's name, or the reverse, such as `a` and `a/b`.

    Git clients cannot store two refs like these.
    """

    code = Code.REF_NAME_CONFLICT
    refname: RefName
    existing: RefName


class DefaultBranchProtected(Conflict):
    """The default branch cannot be deleted. Make another branch the default one first."""

    code = Code.DEFAULT_BRANCH_PROTECTED
    refname: RefName


def apply_ref_updates(
    session: Session,
    repo_id: RepoKey,
    updates: Sequence[RefUpdate],
    *,
    actor: str,
    action: str,
    state: int,
    now: int,
    packs: Sequence[Pack] = (),
    small_packs: Sequence[MemoryPack] = (),
    atomic: bool = True,
) -> AppliedUpdates:
    """Apply `updates` in the session's transaction, log them and list `packs`. Return the outcomes in the same order.

    `packs` are stored durably and *incoming*. `small_packs` become rows of the journal. `state` is the random number of
    the new versions. New refs count as made in the order of `updates`. Deletions are applied first, so deleting `a`
    makes room for `a/b`.

    With `atomic` the first failing update is raised, and the caller's transaction must end with it. Without it, failing
    updates are skipped, and their outcomes have the error. Errors of an update are RefMismatch, RefMissing,
    RefNameConflict, DefaultBranchProtected, NewNameRefused, and Invalid for a ref that is named twice. Raises
    RepoNotFound if the repository is gone, and PackNotIncoming.
    """
    added = JournalSize.of(held.pack for held in small_packs)
    row = session.one(
        "begin_ref_transaction",
        repo_id=repo_id,
        state=state,
        packs=len(packs),
        journal_rows=added.rows,
        journal_bytes=added.size_bytes,
    )
    if row is None:
        raise RepoNotFound(repo_id)
    refs_version, default_branch, journal_rows, journal_bytes = row
    outcomes = _decide_all(session, repo_id, updates, default_branch=default_branch, atomic=atomic)
    _write(session, repo_id, outcomes, refs_version=refs_version, actor=actor, action=action, now=now)
    make_packs_live(session, repo_id, packs, now=now)
    insert_journal_rows(session, repo_id, small_packs, now=now)
    return AppliedUpdates(outcomes, JournalSize(journal_rows, journal_bytes))


def preview_ref_updates(
    session: Session, repo_id: RepoKey, updates: Sequence[RefUpdate], *, atomic: bool = True
) -> list[RefOutcome]:
    """Return or raise what apply_ref_updates() would in the state that `session` sees. Change nothing.

    A snapshot is enough. Nobody waits for a preview, and it promises nothing.
    """
    repo = find_repo_by_id(session, repo_id)
    if repo is None or repo.deleted_at is not None:
        raise RepoNotFound(repo_id)
    return _decide_all(session, repo_id, updates, default_branch=repo.default_branch, atomic=atomic)


def _decide_all(
    session: Session, repo_id: RepoKey, updates: Sequence[RefUpdate], *, default_branch: str, atomic: bool
) -> list[RefOutcome]:
    view = _RefView(session, repo_id)
    repeated = _find_repeated(updates)
    outcomes: dict[int, RefOutcome] = {}
    for position in sorted(range(len(updates)), key=lambda position: updates[position].new_oid is not None):
        outcome = _decide(view, updates[position], default_branch=default_branch, repeated=repeated)
        if outcome.error is not None and atomic:
            raise outcome.error
        outcomes[position] = outcome
    return [outcomes[position] for position in range(len(updates))]


class _RefView:
    """The refs as this transaction sees them: the stored refs, with the updates decided so far over them."""

    def __init__(self, session: Session, repo_id: RepoKey) -> None:
        self._session = session
        self._repo_id = repo_id
        self._created_below: dict[tuple[str, bytes], RefName] = {}
        self._created: set[tuple[str, bytes]] = set()
        self._deleted: set[tuple[str, bytes]] = set()

    def get(self, namespace: str, refname: RefName) -> Oid | None:
        """Return the stored value. Call it once for each ref, before its update is decided."""
        row = self._session.one(
            "get_ref", repo_id=self._repo_id, namespace=namespace, refname=refname.decode("utf-8")
        )
        return None if row is None else Oid(row[2])

    def find_conflict(self, namespace: str, refname: RefName) -> RefName | None:
        """Return a ref that is a folder of `refname` or is below it."""
        for folder in _folders(refname):
            if (namespace, folder) in self._created:
                return trusted_refname(folder)
            if (namespace, folder) not in self._deleted and self.get(
                namespace, trusted_refname(folder)
            ) is not None:
                return trusted_refname(folder)
        below = self._created_below.get((namespace, refname))
        return below if below is not None else self._find_stored_below(namespace, refname)

    def create(self, namespace: str, refname: RefName) -> None:
        """Note that the ref exists now."""
        self._created.add((namespace, refname))
        for folder in _folders(refname):
            self._created_below[(namespace, folder)] = refname

    def delete(self, namespace: str, refname: RefName) -> None:
        """Note that the ref does not exist any more."""
        self._deleted.add((namespace, refname))

    def _find_stored_below(self, namespace: str, refname: RefName) -> RefName | None:
        name = refname.decode("utf-8")
        low = name + "/"
        while True:
            rows = self._session.all(
                "list_ref_names_between",
                repo_id=self._repo_id,
                namespace=namespace,
                low=low,
                high=name + "0",  # the byte after "/"
                limit=_NAMES_PAGE,
            )
            for (stored,) in rows:
                found = trusted_refname(stored.encode("utf-8"))
                if (namespace, found) not in self._deleted:
                    return found
            if len(rows) < _NAMES_PAGE:
                return None
            low = rows[-1][0] + "\x01"  # no refname has a control character, so this skips none


def _folders(refname: RefName) -> Iterable[bytes]:
    """Yield the names that cannot be refs while `refname` is one, shortest first."""
    parts = refname.split(b"/")
    for length in range(_ROOT_PARTS + 1, len(parts)):
        yield b"/".join(parts[:length])


def _find_repeated(updates: Sequence[RefUpdate]) -> set[tuple[str, RefName]]:
    seen: set[tuple[str, RefName]] = set()
    repeated: set[tuple[str, RefName]] = set()
    for update in updates:
        key = (update.namespace, update.refname)
        (repeated if key in seen else seen).add(key)
    return repeated


def _decide(
    view: _RefView, update: RefUpdate, *, default_branch: str, repeated: set[tuple[str, RefName]]
) -> RefOutcome:
    """Decide one update: return its outcome and note it in `view`."""
    namespace, refname = update.namespace, update.refname
    previous = view.get(namespace, refname)

    def refuse(error: PackhouseError) -> RefOutcome:
        return RefOutcome(update, previous, error)

    if (namespace, refname) in repeated:
        return refuse(RefNamedTwice(refname))
    if not refname.startswith(b"refs/") or refname.count(b"/") < _ROOT_PARTS:
        return refuse(RefNameInvalid(refname))
    for oid in (update.new_oid, update.peeled_oid):
        if oid is not None and not is_oid(oid):
            return refuse(NotAnObjectId(refname=refname, value=oid[:80]))
    if not update.any_old and update.old_oid != previous:
        return refuse(RefMismatch(refname, expected=update.old_oid, actual=previous))
    if update.new_oid is None:
        if namespace == PERSISTENT and refname == HEADS + default_branch.encode("utf-8"):
            return refuse(DefaultBranchProtected(refname))
        if previous is None and update.any_old:
            return refuse(RefMissing(refname))
        view.delete(namespace, refname)
    elif previous is None:
        if not is_refname(refname):  # do not trust the type: git would read this name from a file of refs
            return refuse(RefNameInvalid(refname))
        reason = None if update.restores else new_name_fault(refname)
        if reason is not None:
            return refuse(NewNameRefused(refname, reason))
        existing = view.find_conflict(namespace, refname)
        if existing is not None:
            return refuse(RefNameConflict(refname=refname, existing=existing))
        view.create(namespace, refname)
    return RefOutcome(update, previous)


def _write(
    session: Session,
    repo_id: RepoKey,
    outcomes: Iterable[RefOutcome],
    *,
    refs_version: int,
    actor: str,
    action: str,
    now: int,
) -> None:
    """Write the outcomes. The statements repeat the guards, so that they cannot change another value."""
    rows: dict[str, list[dict[str, SqlValue]]] = {"delete_ref": [], "update_ref": [], "insert_ref": []}
    log: list[dict[str, SqlValue]] = []
    for place, outcome in enumerate(outcomes):
        if not outcome.moved:
            continue
        update = outcome.update
        key: dict[str, SqlValue] = {
            "repo_id": repo_id,
            "namespace": update.namespace,
            "refname": update.refname.decode("utf-8"),
        }
        value: dict[str, SqlValue] = {"new_oid": update.new_oid, "peeled_oid": update.peeled_oid, "now": now}
        if update.new_oid is None:
            rows["delete_ref"].append({**key, "old_oid": outcome.previous_oid})
        elif outcome.previous_oid is None:
            creation = refs_version * _PLACES_MAX + min(place, _PLACES_MAX - 1)
            rows["insert_ref"].append({**key, **value, "creation": creation})
        else:
            rows["update_ref"].append({**key, **value, "old_oid": outcome.previous_oid})
        log.append(
            {
                **key,
                "refs_version": refs_version,
                "old_oid": outcome.previous_oid,
                "new_oid": update.new_oid,
                "actor": actor,
                "action": action,
                "now": now,
            }
        )
    for statement, params in rows.items():
        if params and session.run_many(statement, params) != len(params):
            raise AssertionError("refs changed under the lock of their repository")
    if log:
        session.run_many("insert_ref_log", log)
