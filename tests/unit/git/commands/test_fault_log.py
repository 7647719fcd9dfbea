"""Messages about faulty objects are read in pieces of any size, and all other messages are passed on."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.git.commands.fault_log import FaultLog
from packhouse.git.commands.index_pack import REFUSABLE, known_faults, strict_option, telling_option

OID = "1234567890" * 4
OTHER = "abcdef0123" * 4
STREAM = (
    b"Resolving deltas:  50% (1/2)\r"
    + f"warning: object {OID}: missingEmail: no e-mail\n".encode()
    + b"Resolving deltas: 100% (2/2)\rResolving deltas: 100% (2/2), done.\n"
    + f"warning: object {OID}: zeroPaddedDate: second fault\n".encode()
    + f"warning: object {OTHER}: hasDotgit: contains '.git'\n".encode()
    + f"warning: object {OTHER}: badFilemode: only told of\n".encode()
    + b"warning: unrelated\n"
)


def read(pieces: list[bytes]) -> tuple[FaultLog, bytes]:
    log = FaultLog()
    shown = b"".join(log.take(piece) for piece in pieces)
    return log, shown + log.finish()


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_first_fault_of_each_object_is_found_however_the_stream_is_cut(cuts: list[int]) -> None:
    marks = [0, *sorted(cuts), len(STREAM)]
    log, shown = read([STREAM[a:b] for a, b in itertools.pairwise(marks)])
    assert {oid: fault.name for oid, fault in log.faults.items()} == {
        OID: "missingEmail",
        OTHER: "hasDotgit",
    }
    assert not log.is_incomplete
    told = [line for line in STREAM.splitlines(keepends=True) if b"missingEmail" in line or b"second" in line]
    assert shown == b"".join(
        line for line in STREAM.splitlines(keepends=True) if line not in told and b"hasDotgit" not in line
    )


def test_a_log_is_incomplete_until_the_stream_has_ended() -> None:
    log = FaultLog()
    log.take(STREAM)
    assert log.is_incomplete


def test_more_faults_than_are_kept_make_the_log_incomplete() -> None:
    lines = [
        f"warning: object {number:040x}: badName: x\n".encode()
        for number in range(limits.push_faults_max + 1)
    ]
    log, shown = read(lines)
    assert log.is_incomplete
    assert (len(log.faults), shown) == (limits.push_faults_max, b"")


def test_a_line_that_cannot_be_read_makes_the_log_incomplete() -> None:
    assert read([b"warning: object 12 is odd\n"])[0].is_incomplete
    assert read([f"and warning: object {OID}: badName: x\n".encode()])[0].is_incomplete
    assert read([f"warning: object {OID}: badNa".encode()])[0].is_incomplete


def test_only_faults_that_the_installed_git_knows_are_named_to_it() -> None:
    named = {part.partition("=")[0] for part in telling_option(()).removeprefix("--strict=").split(",")}
    assert named <= known_faults()
    assert {"hasDotgit", "hasDotdot", "treeNotSorted", "gitmodulesUrl", "missingEmail"} <= named & REFUSABLE
    assert "fromTheFuture" not in strict_option(["fromTheFuture"])
    assert "missingEmail=ignore" in telling_option(["missingEmail"])


def test_files_that_index_pack_could_not_read_are_faults_of_the_objects() -> None:
    log, _ = read([STREAM])
    log.take_unread_files(f"{OTHER}\n{'9' * 40}\npack\t{'8' * 40}\n".encode())
    assert {oid: fault.name for oid, fault in log.faults.items()} == {
        OID: "missingEmail",
        OTHER: "hasDotgit",
        "9" * 40: "gitmodulesMissing",
    }
    assert not log.is_incomplete
