"""Which objects git complains of, and which it only mentions."""

import pytest

from packhouse.git.commands.complaints import find_objects, find_packs, is_about_derived_files

pytestmark = pytest.mark.quick

ONE, TWO = "1" * 40, "2" * 40


@pytest.mark.parametrize(
    "message",
    [
        f"error: Could not read {ONE}",
        f"fatal: Failed to traverse parents of commit {ONE}",
        f"fatal: bad object {ONE}",
        f"fatal: missing blob object '{ONE}'",
        f"fatal: missing tree object '{ONE}'",
        f"fatal: unable to read {ONE}",
        f"error: 'dir/a file': unable to read {ONE}",
        f"fatal: unable to read tree {ONE}",
        f"fatal: unable to read blob object {ONE}",
        f"fatal: packed object {ONE} (stored in ./objects/pack/pack-{TWO}.pack) is corrupt",
        f"error: failed to read object {ONE} at offset 12 from ./objects/pack/pack-{TWO}.pack",
        f"error: failed to read delta base object {ONE} at offset 12 from ./objects/pack/pack-{TWO}.pack",
        f"fatal: cannot read object {ONE} 'a'",
        f"error: bad packed object CRC for {ONE}",
        f"fatal: unable to parse commit {ONE}",
        f"fatal: unable to get size of {ONE}\nfatal: Cannot read blob {ONE} for path a",
    ],
)
def test_an_object_that_cannot_be_read_is_found(message: str) -> None:
    assert find_objects(message) == [ONE]


@pytest.mark.parametrize(
    "message",
    [
        f"fatal: no such path '{ONE}' in {TWO}",
        f"fatal: -L parameter '{ONE}' starting at line 1: no match",
        f"fatal: -e option, '{ONE}': Unmatched ( or \\(",
        f"fatal: ambiguous argument '{ONE}': unknown revision",
        f"warning: {ONE}: something else",
    ],
)
def test_an_object_that_is_only_mentioned_is_ignored(message: str) -> None:
    assert find_objects(message) == []


@pytest.mark.parametrize(
    "message",
    [
        "fatal: multi-pack-index signature 0xfd95161d does not match signature 0x4d494458",
        "fatal: bad pack-int-id: 18 (3 total packs)",
        f"error: packfile ./objects/pack/pack-{ONE}.pack index unavailable",
        f"error: non-monotonic index ./objects/pack/pack-{ONE}.idx",
    ],
)
def test_complaints_about_derived_files_are_recognised(message: str) -> None:
    assert is_about_derived_files(message)
    assert not is_about_derived_files(f"fatal: bad object {ONE}")


def test_packs_are_found_by_their_files() -> None:
    messages = f"error: packfile ./objects/pack/pack-{ONE}.pack does not match index\nfatal: pack-{TWO}"
    assert find_packs(messages) == [ONE]
    assert find_packs(f"error: non-monotonic index ./objects/pack/pack-{ONE}.idx\n" * 2) == [ONE]
