"""Members of replies under old names: filled from the standard members, and described as old names."""

import re
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from packhouse.web.app import API
from packhouse.web.json.old_names import OLD_NAME, WithOldNames, old_name_of
from packhouse.web.json.types import Name
from packhouse.web.openapi.replies import reply_schemas

pytestmark = pytest.mark.quick


class Branch(WithOldNames, frozen=True, kw_only=True):
    """A reply with two old names of one member, and one of a member that may be absent."""

    target_branch: Name
    tip: str | UnsetType = UNSET
    message: str
    branch: Annotated[Name, old_name_of("target_branch")] = OLD_NAME
    name: Annotated[Name, old_name_of("target_branch")] = OLD_NAME
    sha: Annotated[str, old_name_of("tip")] | UnsetType = UNSET


class NamedBranch(Branch, frozen=True, kw_only=True):
    """A reply that inherits its old names."""

    cursor: str


def encode(reply: msgspec.Struct) -> bytes:
    return msgspec.json.encode(reply)


def test_old_names_repeat_the_standard_one_in_their_place() -> None:
    reply = Branch(target_branch="main", message="made")
    assert encode(reply) == b'{"target_branch":"main","message":"made","branch":"main","name":"main"}'


def test_an_absent_member_is_absent_under_both_names() -> None:
    assert b"sha" not in encode(Branch(target_branch="main", message="made"))


def test_old_names_are_inherited_and_survive_a_change() -> None:
    reply = NamedBranch(target_branch="main", message="made", cursor="c")
    assert (reply.branch, reply.name) == ("main", "main")
    renamed = msgspec.structs.replace(reply, target_branch="dev")
    assert (renamed.branch, renamed.name) == ("dev", "dev")


def test_an_old_name_that_is_given_does_not_count() -> None:
    assert Branch(target_branch="main", message="made", branch="other").branch == "main"


def test_the_description_requires_what_is_always_filled() -> None:
    schema = reply_schemas([Branch])["Branch"]
    assert schema["required"] == ["target_branch", "message", "branch", "name"]
    assert schema["properties"]["branch"] == {
        "description": "Old name of `target_branch`.",
        "deprecated": True,
        "type": "string",
        "minLength": 1,
    }


def _old_names(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the standard name of each member of a reply that is described as an old name."""
    properties: dict[str, Any] = reply_schemas([kind])[kind.__name__]["properties"]
    described = {name: member.get("description", "") for name, member in properties.items()}
    found = {name: re.fullmatch(r"Old name of `(\w+)`\.", text) for name, text in described.items()}
    return {name: match[1] for name, match in found.items() if match}


REPLIES = sorted({route.reply for route in API if route.reply}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", REPLIES)
def test_each_old_name_of_a_reply_belongs_to_another_member(kind: type[msgspec.Struct]) -> None:
    names = set(kind.__struct_encode_fields__)
    old_names = _old_names(kind)
    assert set(old_names.values()) <= names - set(old_names)
    assert not old_names or issubclass(kind, WithOldNames)


def test_the_released_clients_find_their_old_names() -> None:
    found = {kind.__name__: _old_names(kind) for kind in REPLIES if _old_names(kind)}
    assert found == {
        "CreatedRepoReply": {"url": "repo_name", "id": "repo_name"},
        "DeletedBranch": {"name": "target_branch"},
        "NoteWriteAnswer": {"target_ref": "notes_ref"},
        "RepoReply": {"url": "repo_name"},
        "UpdatedRepoReply": {"url": "repo_name"},
    }
