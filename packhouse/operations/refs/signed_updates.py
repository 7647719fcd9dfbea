"""The rule `verify-sig`: every commit that an update introduces is signed with a key of the organisation.

An update introduces the commits that are reachable from the new value and not from the old one. When the ref is new,
the commits reachable from other refs under the rule are left out instead. Refs outside the rule do not count: a push to
an unprotected branch first would get round the rule.
"""

from packhouse import limits
from packhouse.auth import VERIFY_SIG, Principal
from packhouse.db import RefUpdate, Repo, list_refs, list_signing_keys
from packhouse.errors import Code, LimitExceeded, TimedOut
from packhouse.git import Oid
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.commands.signatures.signature_check import SignatureChecker
from packhouse.git.commands.signatures.signing_keys import SigningKey, SigningKeyKind
from packhouse.git.objects import Objects
from packhouse.node import Node
from packhouse.repository import RepoView, Write


class TooManyCommitsToVerify(LimitExceeded):
    """A push brings more commits than the server verifies at once. Push in parts."""

    code = Code.TOO_MANY_COMMITS_TO_VERIFY
    max_commits: int


class SignaturesTookTooLong(TimedOut):
    """The time for verifying the signatures of one push is over. Push in parts."""

    code = Code.SIGNATURES_TOOK_TOO_LONG
    seconds: float


def verify_introduced(
    node: Node,
    caller: Principal,
    repo: Repo,
    update: RefUpdate,
    *,
    objects: Write | None = None,
    switch: KillSwitch | None = None,
) -> bool:
    """Tell whether every introduced commit has a good signature. `objects` gives access to pushed commits, too.

    Raises LimitExceeded for more than `limits.signed_commits_max` commits, TimedOut, ProgramMissing.
    """
    assert update.new_oid is not None, "a deletion introduces nothing"
    with RepoView(node, repo) as view:
        return _are_signed(objects or view, caller, update, switch or KillSwitch())


def _are_signed(opened: Write | RepoView, caller: Principal, update: RefUpdate, switch: KillSwitch) -> bool:
    assert update.new_oid is not None, "see above"
    node, repo = opened.node, opened.repo
    old = [update.old_oid] if update.old_oid is not None else _protected_tips(node, caller, repo)
    revisions = Revisions([update.new_oid], old)
    introduced = list_introduced(opened, revisions, switch, count_max=limits.signed_commits_max + 1)
    if len(introduced) > limits.signed_commits_max:
        raise TooManyCommitsToVerify(limits.signed_commits_max)
    return not introduced or _all_signed(node, repo, opened, introduced)


def list_introduced(
    opened: Write | RepoView, revisions: Revisions, switch: KillSwitch, *, count_max: int
) -> list[Oid]:
    """Return up to `count_max` of the commits, newest first. Ids of missing objects, blobs and trees add none."""
    if opened.is_empty:
        return []
    with opened.telling_damage():
        return opened.git.list_existing_commits(revisions, count_max=count_max, switch=switch)


def load_signing_keys(node: Node, org_id: int) -> dict[str, SigningKey]:
    """Return the organisation's active keys by their ids."""
    with node.database.read() as session:
        active = list_signing_keys(session, org_id, active_only=True)
    return {
        row.signing_key_id: SigningKey(SigningKeyKind(row.kind), row.public_key, row.fingerprint)
        for row in active
    }


def _protected_tips(node: Node, caller: Principal, repo: Repo) -> list[Oid]:
    """Return the values of the refs under the rule. Commits reachable from them were verified before."""
    with node.database.read() as session:
        refs = list_refs(session, repo.id)
    return [ref.oid for ref in refs if VERIFY_SIG in caller.policy.ops_for(ref.namespace, ref.refname)]


def _all_signed(node: Node, repo: Repo, opened: Write | RepoView, commits: list[Oid]) -> bool:
    keys = load_signing_keys(node, repo.org_id)
    if not keys:
        return False
    key_set = frozenset(keys)
    reader = opened.reader() if isinstance(opened, Write) else opened
    deadline = node.monotonic() + limits.signatures_check_max_s
    with SignatureChecker(node.store.scratch_dir(), keys.values()) as checker:
        for commit in commits:
            if node.monotonic() > deadline:
                raise SignaturesTookTooLong(limits.signatures_check_max_s)
            now = node.clock()
            signed = node.signatures.get(repo.id, key_set, commit, now=now)
            if signed is None:
                signed = _is_signed(reader, checker, commit)
                node.signatures.put(repo.id, key_set, commit, now=now, signed=signed)
            if not signed:
                return False
    return True


def _is_signed(reader: Objects | RepoView, checker: SignatureChecker, commit: Oid) -> bool:
    header = reader.kind_and_size(commit)
    if header is None or header[1] > limits.object_in_process_max_bytes:
        return False
    return checker.check(reader.read(commit, kind="commit")[1])
