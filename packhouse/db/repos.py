"""Rows of repositories. Their contents are in refs and packs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from packhouse.db.refs import Ref, ref_from_row
from packhouse.db.session import Row, Session, SqlValue
from packhouse.db.text import fold_case, is_storable, substring_pattern
from packhouse.errors import Code, Conflict, NotFound
from packhouse.git import RefName
from packhouse.ids import RepoId, RepoKey

SEARCH_MAX_BYTES = 2048  # of folded text; a name has 255 bytes at most, so no longer text can be found


@dataclass(frozen=True, slots=True)
class FollowedUpstream:
    """The remote that a repository follows. `host` is "" for the provider's usual one.

    `auth_mode` is public, app or credential. In public mode nothing is ever sent there. During `in_first_sync` the
    repository's contents are not complete.
    """

    provider: str
    host: str
    owner: str
    name: str
    auth_mode: str
    in_first_sync: bool

    @property
    def is_written(self) -> bool:
        """Tell whether writes are forwarded there."""
        return self.auth_mode != "public"


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository. `default_branch` is a short name.

    `refs_version` grows with every change of its refs, `packs_version` with every change of its list of packs. The
    state beside each is random and written with it. Only the pair identifies what was read. At `expires_at` the
    repository is deleted.
    """

    id: RepoKey
    public_id: RepoId
    org_id: int
    org_name: str
    name: str
    default_branch: str
    refs_version: int
    refs_state: int
    packs_version: int
    packs_state: int
    created_at: int
    deleted_at: int | None
    expires_at: int | None = None
    upstream: FollowedUpstream | None = None


class RepoExists(Conflict):
    """The organisation has a repository with that name."""

    code = Code.REPO_EXISTS
    repo: str


class RepoNotFound(NotFound):
    """The repository does not exist, or it was deleted. `repo` is None where git shows the name anyway."""

    code = Code.REPO_NOT_FOUND
    repo: str | int | None = None


def insert_repo(
    session: Session,
    *,
    public_id: RepoId,
    org_id: int,
    name: str,
    default_branch: str,
    now: int,
    expires_at: int | None = None,
) -> RepoKey:
    """Add a repository and return its id: 1 to 2147483647, never given out before.

    Raises RepoExists if a living repository has the name.
    """
    row = session.one(
        "insert_repo",
        public_id=public_id,
        org_id=org_id,
        name=name,
        name_folded=fold_case(name),
        default_branch=default_branch,
        created_at=now,
        expires_at=expires_at,
    )
    if row is None:
        raise RepoExists(name)
    return RepoKey(int(row[0]))


def insert_unborn_repo(session: Session, *, public_id: RepoId, org_id: int, name: str, now: int) -> RepoKey:
    """Add the row of a repository that is still being filled and that nobody finds. Return its id. See bear_repo()."""
    row = session.one(
        "insert_unborn_repo",
        public_id=public_id,
        org_id=org_id,
        name=name,
        name_folded=fold_case(name),
        created_at=now,
    )
    assert row is not None, "nothing keeps the row from being inserted"
    return RepoKey(int(row[0]))


def bear_repo(
    session: Session,
    repo_id: RepoKey,
    *,
    org_id: int,
    name: str,
    default_branch: str,
    now: int,
    expires_at: int | None = None,
) -> None:
    """Make a filled repository visible. Raises RepoExists if its name is taken."""
    born = session.run(
        "bear_repo",
        repo_id=repo_id,
        org_id=org_id,
        name=name,
        default_branch=default_branch,
        created_at=now,
        expires_at=expires_at,
    )
    if born == 0:
        raise RepoExists(name)


def find_repo(session: Session, org_id: int, name: str) -> Repo | None:
    """Return the living repository with exactly that name."""
    if not is_storable(name):
        return None
    row = session.one("find_repo", org_id=org_id, name=name)
    return None if row is None else _repo_from_row(row)


def find_repo_by_id(session: Session, repo_id: int) -> Repo | None:
    """Return the repository with that id, deleted or not. Takes any number; a found row proves that it is a key."""
    row = session.one("find_repo_by_id", repo_id=repo_id)
    return None if row is None else _repo_from_row(row)


def find_repo_by_public_id(session: Session, public_id: str) -> Repo | None:
    """Return the repository with that `repo_…` id, deleted or not. Takes any text."""
    if not is_storable(public_id):
        return None
    row = session.one("find_repo_by_public_id", public_id=public_id)
    return None if row is None else _repo_from_row(row)


def find_repo_and_ref(
    session: Session, org_id: int, name: str, namespace: str, refname: RefName | None
) -> tuple[Repo, Ref | None] | None:
    """Return the living repository with that name and one of its refs, in one query.

    Without `refname` the ref is the default branch, looked up in `namespace`. The ref is None if it does not exist. The
    whole answer is None if the repository does not exist.
    """
    if not is_storable(name):
        return None
    row = session.one(
        "find_repo_and_ref",
        org_id=org_id,
        name=name,
        namespace=namespace,
        refname=None if refname is None else refname.decode("utf-8"),
    )
    if row is None:
        return None
    return _repo_from_row(row[:19]), None if row[19] is None else ref_from_row(row[19:])


def list_repos(
    session: Session, org_id: int, *, q: str = "", after: tuple[int, int] | None, limit: int
) -> list[Repo]:
    """Return at most `limit` living repositories, sorted by creation time, then id; strictly after (created_at, id).

    With `q`, only those whose names contain it, in upper or lower case.
    """
    after_time, after_id = after or (-1, 0)
    if not q:
        rows = session.all("list_repos", org_id=org_id, after_time=after_time, after_id=after_id, limit=limit)
        return [_repo_from_row(row) for row in rows]
    folded = fold_case(q)
    if not is_storable(folded) or len(folded.encode("utf-8")) > SEARCH_MAX_BYTES:
        return []
    rows = session.all(
        "search_repos",
        org_id=org_id,
        pattern=substring_pattern(folded),
        after_time=after_time,
        after_id=after_id,
        limit=limit,
    )
    return [_repo_from_row(row) for row in rows]


def set_default_branch(session: Session, repo_id: RepoKey, default_branch: str, *, state: int) -> None:
    """Make another branch the default one. Other ref transactions wait until this transaction ends.

    `state` is the random number of the new refs_version, here and below. Raises RepoNotFound if the repository was
    deleted.
    """
    if session.run("set_default_branch", repo_id=repo_id, default_branch=default_branch, state=state) == 0:
        raise RepoNotFound(repo_id)


def set_repo_expiry(session: Session, repo_id: RepoKey, expires_at: int | None) -> None:
    """Set the time at which the repository is deleted; None means never. Raises RepoNotFound if it was deleted."""
    if session.run("set_repo_expiry", repo_id=repo_id, expires_at=expires_at) == 0:
        raise RepoNotFound(repo_id)


def mark_repo_deleted(
    session: Session, org_id: int, name: str, *, state: int, now: int
) -> tuple[RepoKey, RepoId] | None:
    """Delete the living repository with that name. Return its (id, public id); None if there is none.

    Its name is free at once. Its contents stay until they are cleaned up.
    """
    if not is_storable(name):
        return None
    row = session.one("mark_repo_deleted", org_id=org_id, name=name, state=state, now=now)
    return None if row is None else (RepoKey(row[0]), RepoId(row[1]))


def undelete_repo_row(
    session: Session, org_id: int, name: str, *, state: int
) -> tuple[RepoKey, RepoId] | None:
    """Bring back the repository of that name that was deleted last, without an expiry. Return its (id, public id).

    Returns None if its files are being removed, if there was none, or if the name is taken again.
    """
    if not is_storable(name):
        return None
    row = session.one("undelete_repo", org_id=org_id, name=name, state=state)
    return None if row is None else (RepoKey(row[0]), RepoId(row[1]))


def start_cleaning_repos(session: Session, repos: Sequence[Repo], *, before: int, now: int) -> list[Repo]:
    """Note that the removal of repositories begins that were deleted at `before` or earlier. Return these.

    Nobody can bring them back from then on. The others live again, or were deleted again later.
    """
    rows = [{"repo_id": repo.id, "before": before, "now": now} for repo in repos]
    if session.run_many("start_cleaning_repo", rows) == len(rows):
        return list(repos)
    # The statement may run twice, and tells which repositories it does not fit.
    return [repo for repo, row in zip(repos, rows, strict=True) if session.run("start_cleaning_repo", **row)]


def mark_repos_cleaned(session: Session, repo_ids: Iterable[RepoKey], *, now: int) -> int:
    """Note that deleted repositories are empty. Return the number of those that were waiting for that and are."""
    rows: list[dict[str, SqlValue]] = [{"repo_id": repo_id, "now": now} for repo_id in repo_ids]
    return session.run_many("mark_repo_cleaned", rows)


def is_repo_cleaned(session: Session, repo_id: RepoKey) -> bool:
    """Tell whether the repository is empty: cleaned after its deletion, or not filled yet."""
    return session.one("find_cleaned_repo", repo_id=repo_id) is not None


def has_pending_deletion(session: Session, org_id: int, name: str) -> bool:
    """Tell whether a repository of that name was deleted and is not cleaned up yet."""
    return is_storable(name) and session.one("has_pending_deletion", org_id=org_id, name=name) is not None


def _repo_from_row(row: Row) -> Repo:
    provider, host, owner, name, auth_mode, in_first_sync = row[13:]
    if provider is None:
        return Repo(*row[:13])
    upstream = FollowedUpstream(provider, host, owner, name, auth_mode, bool(in_first_sync))
    return replace(Repo(*row[:13]), upstream=upstream)
