"""From what a caller wrote (a branch, tag, id, `main~2`, …) to one commit. The same for every endpoint.

Order: full id; `refs/…`; branch; tag; `HEAD`; unique abbreviation of 4 to 39 digits; then `~n` and `^n`
suffixes. In the ephemeral namespace names look among its branches only; ids work as ever.
"""

import re
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.db.refs import get_ref
from packhouse.db.repos import Repo
from packhouse.errors import Invalid, NotFound
from packhouse.git.objects import parse_commit
from packhouse.git.oid import Oid, is_oid
from packhouse.git.process import run_git
from packhouse.git.refname import EPHEMERAL, HEADS, NOTES, PERSISTENT, TAGS, RefName, is_refname
from packhouse.operations.node import Node
from packhouse.operations.reachability import is_reachable, resolve_abbreviation

_SUFFIXES: Final = re.compile(r"(?P<base>[^~^]*)(?P<suffixes>(?:[~^][0-9]*)*)")
_SUFFIX: Final = re.compile(r"([~^])([0-9]*)")
_ABBREVIATION: Final = re.compile(r"[0-9a-f]{4,39}")
_SUFFIXES_MAX: Final = 64
_STEPS_MAX: Final = 2**31 - 1


class RefNotFound(NotFound):
    """Nothing in the repository is called so. Field: `ref`, as the caller wrote it."""

    def __init__(self, ref: str) -> None:
        super().__init__("ref does not exist", ref=ref)


@dataclass(frozen=True, slots=True)
class ResolvedRef:
    """`name` is what answers echo: the caller's text, or the default branch. `oid` is the object named,
    `commit` what it peels to, `refname` the ref that was found, if it was one without suffixes."""

    name: str
    oid: Oid
    commit: Oid
    refname: RefName | None = None


def check_ref_input(text: str) -> str:
    """Return `text` trimmed; raise Invalid for what is no ref input in any repository."""
    ref = text.strip()
    hostile = not ref or ref.startswith("-") or len(ref.encode("utf-8", "replace")) > limits.refname_max_bytes
    if hostile or any(part in ref for part in ("..", "@{", ":", "^{/")) or not ref.isprintable():
        raise Invalid("invalid ref", ref=ref[:200])
    return ref


def resolve_ref(node: Node, repo: Repo, ref: str | None, *, ephemeral: bool = False) -> ResolvedRef:
    """Return the commit that `ref` names; None or a blank text names the default branch.

    Raises Invalid for a malformed ref, RefNotFound when it names nothing or nothing that peels to a commit.
    """
    namespace = EPHEMERAL if ephemeral else PERSISTENT
    if ref is None or not ref.strip():
        name = repo.default_branch
        found = _lookup(node, repo, namespace, HEADS + name.encode("utf-8"))
        if found is None:
            raise RefNotFound(name)
        refname, oid = found
        return ResolvedRef(name, oid, _peel_to_commit(node, repo, oid, name), refname)
    text = check_ref_input(ref)
    match = _SUFFIXES.fullmatch(text)
    if match is None:
        raise RefNotFound(text)
    base, suffixes = match["base"], _SUFFIX.findall(match["suffixes"])
    refname_found, oid = _resolve_base(node, repo, namespace, base, text)
    commit = _peel_to_commit(node, repo, oid, text)
    if not suffixes:
        return ResolvedRef(text, oid, commit, refname_found)
    if len(suffixes) > _SUFFIXES_MAX:
        raise Invalid("too many suffixes in ref", ref=text[:200])
    for operator, number in suffixes:
        commit = _step(node, repo, commit, operator, number, text)
    return ResolvedRef(text, commit, commit)


def _resolve_base(node: Node, repo: Repo, namespace: str, base: str, text: str) -> tuple[RefName | None, Oid]:
    if is_oid(base.lower()):
        oid = Oid(base.lower())
        if not is_reachable(node, repo, oid):
            raise RefNotFound(text)
        return None, oid
    for candidate in _candidates(repo, namespace, base):
        found = _lookup(node, repo, namespace, candidate)
        if found is not None:
            return found
    if _ABBREVIATION.fullmatch(base.lower()):
        return None, resolve_abbreviation(node, repo, base.lower())
    raise RefNotFound(text)


def _candidates(repo: Repo, namespace: str, base: str) -> list[bytes]:
    """Return the full refnames that `base` may mean, in order."""
    name = base.encode("utf-8")
    if namespace == EPHEMERAL:
        return [name] if name.startswith(HEADS) else [HEADS + name]
    if name.startswith((HEADS, TAGS, NOTES)):
        return [name]
    if name.startswith(b"refs/"):
        return []
    names = [HEADS + name, TAGS + name]
    if base == "HEAD":
        names.append(HEADS + repo.default_branch.encode("utf-8"))
    return names


def _lookup(node: Node, repo: Repo, namespace: str, refname: bytes) -> tuple[RefName, Oid] | None:
    if not is_refname(refname):
        return None
    with node.database.read() as session:
        ref = get_ref(session, repo.id, namespace, RefName(refname))
    return None if ref is None else (ref.refname, ref.oid)


def _peel_to_commit(node: Node, repo: Repo, oid: Oid, text: str) -> Oid:
    with node.store.reader(repo.public_id) as reader:
        kind, target = reader.peel(oid)
    if kind != "commit":
        raise RefNotFound(text)
    return target


def _step(node: Node, repo: Repo, commit: Oid, operator: str, number: str, text: str) -> Oid:
    """Return the ancestor that one `~n` (first parents) or `^n` (the nth parent) leads to."""
    count = int(number) if number else 1
    if count == 0:
        return commit
    if count > _STEPS_MAX:
        raise RefNotFound(text)
    if operator == "^":
        with node.store.reader(repo.public_id) as reader:
            parents = parse_commit(reader.read(commit, kind="commit")[1]).parents
        if count > len(parents):
            raise RefNotFound(text)
        return parents[count - 1]
    with node.store.hold(repo.public_id) as lock:
        listed = run_git(
            node.store.repo_path(repo.public_id),
            "rev-list",
            "--first-parent",
            f"--skip={count}",
            "--max-count=1",
            "--end-of-options",
            commit,
            pass_fds=(lock,),
        ).stdout.split()
    if not listed:
        raise RefNotFound(text)
    return Oid(listed[0].decode("ascii"))
