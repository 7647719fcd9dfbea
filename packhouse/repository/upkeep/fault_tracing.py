"""Which refs of a push lead to its faulty objects, and by which path.

Only objects of the push are read: the objects of the repository were judged when they came. Git walks the commits,
parents first. Trees are read only if a faulty object can be found through trees. A commit whose parent is refused is
refused for the same reason, without a look at its tree.
"""

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from packhouse import limits
from packhouse.errors import Code, PackhouseError, TimedOut
from packhouse.fault_names import CONTENT_FAULTS
from packhouse.git import Oid
from packhouse.git.commands.fault_log import ObjectFault
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.quoting import quote_path
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.objects import (
    MODE_TREE,
    Objects,
    is_gitattributes_name,
    is_gitmodules_name,
    read_mode,
    tag_target,
)
from packhouse.git.packs import PackIdx
from packhouse.repository.git import RepoGit
from packhouse.repository.write import Write

_UNKNOWN: Final = 0
_SOUND: Final = 1
_FIRST_REASON: Final = 2

_ENTRY: Final = re.compile(rb"([0-7]{1,32}) ([^\0]*)\0(.{20})", re.DOTALL)
_PATH_MAX_BYTES: Final = 200
_LOOK_EVERY: Final = 1000
_TREES_KEPT: Final = 500_000


class TracingFailed(PackhouseError):
    """Some objects of the push could not be looked at, so the refs that lead to its faulty objects are unknown."""


class FaultsNotTracedInTime(TimedOut):
    """The time for finding the refs of faulty objects is over."""

    code = Code.FAULTS_NOT_TRACED_IN_TIME
    seconds: float


class TagsTooDeepToTrace(TracingFailed):
    """An annotated tag of the push leads through more tags than are followed."""

    code = Code.TAGS_TOO_DEEP_TO_TRACE


class PushGivenUp(TracingFailed):
    """The client left while the faults of its push were traced."""

    code = Code.PUSH_GIVEN_UP


@dataclass(frozen=True, slots=True)
class Trace:
    """A faulty object, and where it was found: at `path` within the tree of `root`, which is a commit or a tag."""

    fault: ObjectFault
    kind: str
    root: Oid | None = None
    path: bytes = b""

    def describe(self) -> str:
        """Return one line: the object, its place and its fault."""
        place = ""
        if self.root not in (None, self.fault.oid) and self.kind in ("tree", "blob"):
            path = quote_path(self.path[:_PATH_MAX_BYTES]).decode("ascii")
            place = f" ({path or 'root'} of {self.root})"
        return f"{self.kind} {self.fault.oid}{place}: {self.fault.name}: {self.fault.text}"


def trace_faults(
    write: Write,
    faults: Mapping[Oid, ObjectFault],
    tips: Sequence[Oid],
    known: Sequence[Oid],
    *,
    shallow: Sequence[Oid],
    switch: KillSwitch,
) -> dict[Oid, Trace]:
    """Return, for each of `tips` that leads to a faulty object, the first faulty object that was found.

    `known` are values of the repository's refs; no object below them is faulty. `shallow` are the commits at which the
    client's history is cut off. A tip that does not exist gets no entry. Raises TracingFailed, TimedOut and the errors
    of reading objects.
    """
    with PackIdx(write.new_idx()) as idx:
        tracer = _FaultTracer(write, idx, faults, write.git_with_roots(shallow), switch)
        return tracer.trace(tips, known)


@dataclass(frozen=True, slots=True)
class _OpenTree:
    """A tree on the path from the root. `waiting` are its unread folders with their names; `raw` is its id."""

    row: int
    name: bytes
    waiting: list[tuple[Oid, bytes]]
    raw: bytes


@dataclass(slots=True)
class _FaultTracer:
    """Traces faults in the one pack of `idx`. Use it in one thread, once."""

    write: Write
    idx: PackIdx
    faults: Mapping[Oid, ObjectFault]
    git: RepoGit
    switch: KillSwitch
    _reader: Objects = field(init=False)
    _states: "array[int]" = field(init=False)
    _reasons: list[Trace] = field(default_factory=list)
    _deadline: float = field(init=False)
    _looked: int = 0
    _known_trees: set[bytes] = field(default_factory=set)
    _own: dict[Oid, ObjectFault] = field(default_factory=dict)
    _named: dict[Oid, ObjectFault] = field(default_factory=dict)
    _needs_trees: bool = field(init=False)

    def __post_init__(self) -> None:
        self._reader = self.write.reader()
        self._states = array("I", bytes(4 * len(self.idx)))
        self._deadline = self.write.node.monotonic() + limits.push_tracing_max_s
        for oid, fault in self.faults.items():
            (self._named if fault.name in CONTENT_FAULTS else self._own)[oid] = fault
        self._needs_trees = bool(self._named) or any(self._kind(oid) == "tree" for oid in self._own)

    def trace(self, tips: Sequence[Oid], known: Sequence[Oid]) -> dict[Oid, Trace]:
        """See trace_faults()."""
        chains = {tip: self._follow_tags(tip) for tip in tips}
        ends = [chain[-1] for chain in chains.values()]
        self._walk_commits([oid for oid in ends if self._kind(oid) == "commit"], known)
        found = {}
        for tip, chain in chains.items():
            reason = self._find_in_chain(chain)
            if reason is not None:
                found[tip] = reason
        return found

    def _find_in_chain(self, chain: Sequence[Oid]) -> Trace | None:
        for oid in chain:
            if oid in self._own and (kind := self._kind(oid)) != "tree":
                return Trace(self._own[oid], kind)
        end = chain[-1]
        if self._kind(end) != "tree":
            return self._known_reason(end)
        reason = self._judge_tree(end) if self._needs_trees else None
        return None if reason is None else replace(reason, root=chain[0])

    def _follow_tags(self, tip: Oid) -> list[Oid]:
        chain = [tip]
        while self._kind(chain[-1]) == "tag":
            if len(chain) > limits.tag_chain_max:
                raise TagsTooDeepToTrace()
            chain.append(tag_target(self._read(chain[-1])))
        return chain

    def _walk_commits(self, tips: Sequence[Oid], known: Sequence[Oid]) -> None:
        """Judge every commit that is reachable from `tips` and not from `known`."""
        if not tips:
            return
        commits = self.git.iter_ancestors_first(
            Revisions(tips, known), timeout_s=limits.push_tracing_max_s, switch=self.switch
        )
        for oid, tree, parents in commits:
            row = self.idx.find_row(oid)
            if row is None:
                continue
            self._look()
            if oid in self._own:
                self._refuse(row, Trace(self._own[oid], "commit"))
                continue
            states = (self._state(parent) for parent in parents)
            inherited = next((state for state in states if state >= _FIRST_REASON), _SOUND)
            self._states[row] = inherited
            if inherited == _SOUND and self._needs_trees:
                reason = self._judge_tree(tree)
                if reason is not None:
                    self._refuse(row, replace(reason, root=oid))

    def _judge_tree(self, root: Oid) -> Trace | None:
        """Return the first faulty object in a tree, with its path; None when the whole tree is sound."""
        stack: list[_OpenTree] = []
        reason = self._enter(root, b"", stack)
        while reason is None and stack:
            tree = stack[-1]
            if tree.waiting:
                reason = self._enter(*tree.waiting.pop(), stack)
            else:
                self._remember(stack.pop())
        while reason is not None and stack:
            tree = stack.pop()
            self._refuse(tree.row, reason)
            reason = _below(tree.name, reason)
        return reason

    def _enter(self, oid: Oid, name: bytes, stack: list[_OpenTree]) -> Trace | None:
        """Return a faulty object that is known in the tree, or else put an unknown tree on `stack`."""
        if (fault := self._own.get(oid)) is not None:
            return Trace(fault, "tree", path=name)
        row = self.idx.find_row(oid)
        if row is None or self._states[row] == _SOUND:
            return None
        if (known := self._known_reason(oid)) is not None:
            return _below(name, known)
        self._look()
        entries: list[tuple[bytes, bytes, bytes]] = _ENTRY.findall(self._read(oid))
        if self._named and (reason := self._find_named(entries)) is not None:
            self._refuse(row, reason)
            return _below(name, reason)
        folders = [
            (Oid(raw.hex()), entry_name)
            for mode, entry_name, raw in entries
            if read_mode(mode) == MODE_TREE and raw not in self._known_trees
        ]
        stack.append(_OpenTree(row, name, folders, bytes.fromhex(oid)))
        return None

    def _find_named(self, entries: Sequence[tuple[bytes, bytes, bytes]]) -> Trace | None:
        for _mode, name, raw in entries:
            if _is_read_by_git(name) and (fault := self._named.get(Oid(raw.hex()))) is not None:
                return Trace(fault, "blob", path=name)
        return None

    def _remember(self, tree: _OpenTree) -> None:
        """Note that a tree is sound. Most trees contain the same few folders."""
        self._states[tree.row] = _SOUND
        if len(self._known_trees) >= _TREES_KEPT:
            self._known_trees.clear()
        self._known_trees.add(tree.raw)

    def _refuse(self, row: int, reason: Trace) -> None:
        self._states[row] = _FIRST_REASON + len(self._reasons)
        self._reasons.append(reason)

    def _known_reason(self, oid: Oid) -> Trace | None:
        row = self.idx.find_row(oid)
        state = _SOUND if row is None else self._states[row]
        return self._reasons[state - _FIRST_REASON] if state >= _FIRST_REASON else None

    def _state(self, oid: Oid) -> int:
        row = self.idx.find_row(oid)
        return _SOUND if row is None else self._states[row]

    def _kind(self, oid: Oid) -> str:
        header = self._reader.kind_and_size(oid)
        return "" if header is None else header[0]

    def _read(self, oid: Oid) -> bytes:
        _kind, size = self._reader.read_header(oid)
        if size <= limits.object_in_process_max_bytes:
            return self._reader.read(oid)[1]
        return self.write.fresh_reader().read(oid)[1]

    def _look(self) -> None:
        """Raise when the time is over or the client has left. The clock is read only once in many calls."""
        self._looked += 1
        if self._looked % _LOOK_EVERY == 0:
            if self.write.node.monotonic() > self._deadline:
                raise FaultsNotTracedInTime(limits.push_tracing_max_s)
            if self.switch.is_tripped:
                raise PushGivenUp()


def _below(name: bytes, reason: Trace) -> Trace:
    return replace(reason, path=b"/".join(filter(None, (name, reason.path))))


def _is_read_by_git(name: bytes) -> bool:
    return is_gitmodules_name(name) or is_gitattributes_name(name)
