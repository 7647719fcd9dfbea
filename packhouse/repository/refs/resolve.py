"""From a caller's text (a branch, tag, id, `main~2`, …) to one commit, in the same way for every endpoint.

Order: `HEAD`, which is the default branch whatever refs exist; full id; `refs/…`; branch; tag; unique abbreviation of 4
to 39 digits; then `~n` and `^n` suffixes, with the meaning of gitrevisions(7). Forty digits never mean a branch or tag.
In the ephemeral namespace, names mean only its branches, and there is no `HEAD`; ids mean the same as elsewhere.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.db import Repo
from packhouse.errors import Code, Invalid, NotFound
from packhouse.git import (
    EPHEMERAL,
    HEAD,
    HEADS,
    NOTES,
    PERSISTENT,
    TAGS,
    Oid,
    RefName,
    find_refname,
    is_oid,
    is_refname,
)
from packhouse.git.objects import parse_commit
from packhouse.repository.reachability import is_reachable, resolve_abbreviation
from packhouse.repository.refs.files import head_target
from packhouse.repository.view import RepoView

_SUFFIXES: Final = re.compile(r"(?P<base>[^~^]*)(?P<suffixes>(?:[~^][0-9]*)*)")
_PEELED: Final = re.compile(r"(?:[~^][0-9]*|\^\{[a-z]*\})*")
_SUFFIX: Final = re.compile(r"([~^])([0-9]*)")
_ABBREVIATION: Final = re.compile(r"[0-9a-f]{4,39}")
_NEVER_A_REF: Final = re.compile(r"\A-|[\x00-\x1f\x7f:]|\.\.|@\{|\^\{/")
_SUFFIXES_MAX: Final = 64
_STEPS_MAX: Final = 2**31 - 1
_STEPS_IN_PROCESS_MAX: Final = 100


class RefInvalid(Invalid):
    """The text cannot name anything in a repository. `ref` is its start."""

    code = Code.REF_INVALID
    ref: str


class RefTooDeep(Invalid):
    """The ref has more of `~`, `^` and the like than are followed. `ref` is its start."""

    code = Code.REF_TOO_DEEP
    ref: str


class RefNotFound(NotFound):
    """The repository has nothing of this name. `ref` is as the caller wrote it."""

    code = Code.REF_NOT_FOUND
    ref: str


class RefNamesNoCommit(RefNotFound, kw_only=True):
    """The ref leads to the object of a file or a folder. `kind` is blob or tree.

    `named` is the object that the ref holds, which may be a tag. `target` is the object that it leads to.
    """

    code = Code.REF_NAMES_NO_COMMIT
    kind: str
    named: Oid = field(repr=False)
    target: Oid = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResolvedRef:
    """The result of resolve_ref().

    `name` is the caller's text, or the default branch; answers repeat it. `oid` is the named object and `commit` the
    commit that it peels to. `refname` is the ref that was found, None for an id and for a text with suffixes.
    """

    name: str
    oid: Oid
    commit: Oid
    refname: RefName | None = None

    @property
    def is_by_id(self) -> bool:
        """Tell whether the caller wrote the full id of the object. The text will then always name this object."""
        return self.name.lower() == self.oid


def check_ref_input(text: str) -> str:
    """Return `text` trimmed; raise Invalid for text that names a ref in no repository."""
    ref = text.strip()
    try:
        size_bytes = len(ref.encode("utf-8"))
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        raise RefInvalid(ref[:200]) from None
    if not 0 < size_bytes <= limits.refname_max_bytes or _NEVER_A_REF.search(ref) or not _has_form(ref):
        raise RefInvalid(ref[:200])
    return ref


def _has_form(ref: str) -> bool:
    """Tell whether `ref` is a name that git allows, or hex digits, with or without suffixes of gitrevisions(7)."""
    end = next((at for at, char in enumerate(ref) if char in "~^"), len(ref))
    name = ref[:end].encode("utf-8")
    return (is_refname(HEADS + name) or is_refname(name)) and _PEELED.fullmatch(ref, end) is not None


def resolve_ref(view: RepoView, ref: str | None, *, ephemeral: bool = False) -> ResolvedRef:
    """Return the commit that `ref` names; None or a blank text names the default branch.

    Raises Invalid for a malformed ref, RefNotFound for a ref that names nothing, RefNamesNoCommit for a ref whose
    object does not peel to a commit.
    """
    namespace = EPHEMERAL if ephemeral else PERSISTENT
    if ref is None or not ref.strip():
        name = view.repo.default_branch
        found = _find(view, namespace, head_target(view.repo))
        if found is None:
            raise RefNotFound(name)
        refname, oid = found
        return ResolvedRef(name, oid, _peel_to_commit(view, oid, name), refname)
    text = check_ref_input(ref)
    base, suffixes = _split_suffixes(text)
    refname_found, oid = _resolve_base(view, namespace, base, text)
    try:
        commit = _peel_to_commit(view, oid, text)
    except RefNamesNoCommit:
        if suffixes:  # a blob or tree has no ancestors, so the whole text names nothing
            raise RefNotFound(text) from None
        raise
    if not suffixes:
        return ResolvedRef(text, oid, commit, refname_found)
    for operator, number in suffixes:
        commit = _step(view, commit, operator, number, text)
    return ResolvedRef(text, commit, commit)


def resolve_object(view: RepoView, text: str) -> Oid:
    """Return the id of the object, of any kind, that `text` names: an object to which a note can be attached.

    A full id may also name a blob or a tree. A tag's name means the object that the tag leads to. Raises the errors of
    resolve_ref().
    """
    ref = check_ref_input(text)
    base, suffixes = _split_suffixes(ref)
    if suffixes:
        return resolve_ref(view, ref).commit
    if is_oid(ref.lower()) and _holds_file_or_folder(view, Oid(ref.lower())):
        return Oid(ref.lower())
    refname, oid = _resolve_base(view, PERSISTENT, base, ref)
    if refname is None:
        return oid
    return view.peel(oid)[1]


def _holds_file_or_folder(view: RepoView, oid: Oid) -> bool:
    if view.is_empty:
        return False
    header = view.kind_and_size(oid)
    return header is not None and header[0] in ("blob", "tree")


def _split_suffixes(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the text before the first `~` or `^`, and (operator, number) of each suffix."""
    match = _SUFFIXES.fullmatch(text)
    if match is None:  # git's `^{…}`, which is not served
        raise RefNotFound(text)
    suffixes = _SUFFIX.findall(match["suffixes"])
    if len(suffixes) > _SUFFIXES_MAX:
        raise RefTooDeep(text[:200])
    return match["base"], suffixes


def _resolve_base(view: RepoView, namespace: str, base: str, text: str) -> tuple[RefName | None, Oid]:
    if is_oid(base.lower()):
        if is_reachable(view, Oid(base.lower())):
            return None, Oid(base.lower())
        raise RefNotFound(text)
    for candidate in _candidates(view.repo, namespace, base):
        found = _lookup(view, namespace, candidate)
        if found is not None:
            return found
    if _ABBREVIATION.fullmatch(base.lower()):
        return None, resolve_abbreviation(view, base.lower())
    raise RefNotFound(text)


def _candidates(repo: Repo, namespace: str, base: str) -> list[bytes]:
    """Return the full refnames that `base` may mean, in order."""
    name = base.encode("utf-8")
    if name == HEAD:
        return [] if namespace == EPHEMERAL else [head_target(repo)]
    if name.startswith(b"refs/"):
        served = (HEADS,) if namespace == EPHEMERAL else (HEADS, TAGS, NOTES)
        return [name] if name.startswith(served) else []
    if namespace == EPHEMERAL:
        return [HEADS + name]
    return [HEADS + name, TAGS + name]


def _lookup(view: RepoView, namespace: str, refname: bytes) -> tuple[RefName, Oid] | None:
    known = find_refname(refname)
    return None if known is None else _find(view, namespace, known)


def _find(view: RepoView, namespace: str, refname: RefName) -> tuple[RefName, Oid] | None:
    ref = view.get_ref(namespace, refname)
    return None if ref is None else (ref.refname, ref.oid)


def _peel_to_commit(view: RepoView, oid: Oid, text: str) -> Oid:
    kept = view.node.objects.get((view.repo.public_id, oid))
    if kept is not None and kept.startswith(b"tree "):  # a commit; trees in memory start with a mode
        return oid
    kind, target = view.peel(oid)
    if kind != "commit":
        raise RefNamesNoCommit(text, named=oid, kind=kind, target=target)
    return target


def _step(view: RepoView, commit: Oid, operator: str, number: str, text: str) -> Oid:
    """Return the ancestor that one `~n` (first parents) or `^n` (the nth parent) leads to."""
    count = int(number) if number else 1
    if count == 0:
        return commit
    if count > _STEPS_MAX:
        raise RefNotFound(text)
    if operator == "^":
        parents = _parents(view, commit)
        if count > len(parents):
            raise RefNotFound(text)
        return parents[count - 1]
    for _ in range(min(count, _STEPS_IN_PROCESS_MAX)):
        parents = _parents(view, commit)
        if not parents:
            raise RefNotFound(text)
        commit = parents[0]
    count -= min(count, _STEPS_IN_PROCESS_MAX)
    if count == 0:
        return commit
    with view.telling_damage():
        ancestor = view.git.find_first_ancestor(commit, steps=count)
    if ancestor is None:
        raise RefNotFound(text)
    return ancestor


def _parents(view: RepoView, commit: Oid) -> tuple[Oid, ...]:
    return parse_commit(view.read_kept(commit, "commit")).parents
