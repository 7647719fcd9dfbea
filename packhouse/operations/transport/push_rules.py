"""What may be pushed, as far as that is known without the pack: names, policies and the default branch.

What a ref is refused with is the text that the user reads behind `ng <ref>`.
"""

from typing import Final

from packhouse.auth import PolicyDenied, Principal
from packhouse.db import RefUpdate
from packhouse.git import EPHEMERAL, HEADS, NOTES, TAGS, Oid, RefName, is_refname, new_name_fault
from packhouse.git.wire import RefCommand
from packhouse.node import Node
from packhouse.operations.transport.push_state import PushState
from packhouse.repository import RefWriter, head_target

ACTION: Final = "push"

DEFAULT_BRANCH: Final = "deletion of the default branch is not allowed"
_OUTSIDE: Final = "only branches, tags and notes can be pushed"
_WHAT_TO_PUSH: Final = (
    "push what can be stored: git push <remote> 'refs/heads/*:refs/heads/*' 'refs/tags/*:refs/tags/*'"
    " 'refs/notes/*:refs/notes/*'"
)
_NAMED_IN_A_LINE: Final = 5


def check_commands(node: Node, caller: Principal, push: PushState) -> None:
    """Note the commands that fail whatever the pack holds, and those that are left out."""
    writer = RefWriter(node, caller, push.repo, action=ACTION)
    seen: set[bytes] = set()
    for number, command in enumerate(push.commands):
        text = _name_fault(command, push.remote.namespace)
        if text == _OUTSIDE and push.remote.is_import:
            push.skipped.add(number)
            continue
        if text is None and command.name in seen:
            text = "more than one update of the same ref"
        seen.add(command.name)
        if text is not None:
            push.refuse(number, text)
            continue
        try:
            # History and signatures are judged once the pack is here.
            writer.allow(
                ref_update(push, number), is_fast_forward=lambda: True, signatures_verify=lambda: True
            )
        except PolicyDenied as denied:
            push.refuse_policy(number, denied)
            continue
        is_default = command.name == head_target(push.repo) and not push.remote.namespace
        if command.new_oid is None and is_default:
            push.refuse(number, DEFAULT_BRANCH)
    _tell_of_names(push)


def _tell_of_names(push: PushState) -> None:
    """Say once which refs are left out, and how to push without them."""
    if push.skipped:
        names = [push.shown_name(number) for number in sorted(push.skipped)[:_NAMED_IN_A_LINE]]
        more = ", …" if len(push.skipped) > len(names) else ""
        count = f"{len(push.skipped)} ref{'s' if len(push.skipped) > 1 else ''}"
        push.lines.append(
            f"skipped {count} outside refs/heads, refs/tags and refs/notes, not stored: {', '.join(names)}{more}"
        )
    elif _OUTSIDE in push.refused.values():
        push.lines.append(_WHAT_TO_PUSH)


def _name_fault(command: RefCommand, namespace: str) -> str | None:
    """Return why a ref of this name cannot be pushed, or None when it can."""
    name = command.name
    if not is_refname(name):
        return "invalid name"
    if namespace == EPHEMERAL and not name.startswith((HEADS, TAGS)):
        return "only branches and tags can be pushed here"
    if not name.startswith((HEADS, TAGS, NOTES)):
        return _OUTSIDE
    # What exists under such a name may move and be deleted.
    fault = new_name_fault(name) if command.old_oid is None and command.new_oid is not None else None
    return None if fault is None else f"invalid name: {fault}"


def ref_update(push: PushState, number: int, peeled_oid: Oid | None = None) -> RefUpdate:
    """Return the update that a command of a lawful name asks for."""
    command = push.commands[number]
    return RefUpdate(
        push.remote.namespace, RefName(command.name), command.old_oid, command.new_oid, peeled_oid
    )
