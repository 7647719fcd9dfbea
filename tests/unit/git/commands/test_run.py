"""A program that runs to its end: its result, and the bounds on it."""

import os
import signal
from pathlib import Path

import pytest

from packhouse.errors import LimitExceeded, TimedOut
from packhouse.git.commands.environment import NOWHERE, GitPlace
from packhouse.git.commands.process import GitProcess, ProgramMissing, spawn_git
from packhouse.git.commands.run import (
    AtPlace,
    GitFailed,
    GitResult,
    check_answer,
    iter_git_output,
    iter_lines,
    run_git,
    run_program,
)
from packhouse.git.oid import hash_object
from tests.support.clients.git import Git
from tests.support.clients.git_runner import FakeGit

pytestmark = pytest.mark.quick

LARGE = b"a line of text\n" * 500_000


@pytest.fixture
def place(tmp_path: Path) -> GitPlace:
    """An empty bare repository."""
    git = Git(tmp_path / "home")
    git.run("init", "--quiet", "--bare", tmp_path / "bare")
    return GitPlace(tmp_path / "bare")


def test_a_result_has_the_whole_output_and_all_messages(place: GitPlace) -> None:
    done = run_git(place, "hash-object", "-w", "--stdin", stdin=LARGE)
    oid = hash_object("blob", LARGE)
    assert done == GitResult("hash-object", 0, f"{oid}\n".encode(), b"")
    assert run_git(place, "cat-file", "blob", oid).stdout == LARGE


def test_a_failure_of_git_raises_gits_own_words(place: GitPlace) -> None:
    with pytest.raises(GitFailed) as failed:
        run_git(place, "cat-file", "blob", "1" * 40)
    assert failed.value.exit_code == 128
    assert failed.value.messages == f"fatal: git cat-file {'1' * 40}: bad file\n"
    assert failed.value.fields == {"command": "cat-file", "code": 128, "text": failed.value.messages}


def test_an_exit_code_that_the_caller_expects_is_an_answer(place: GitPlace) -> None:
    done = run_git(place, "cat-file", "-e", "1" * 40, ok_codes=frozenset({1}))
    assert (done.code, done.stdout) == (1, b"")


def test_output_beyond_the_bound_is_refused_and_ends_git(place: GitPlace) -> None:
    run_git(place, "hash-object", "-w", "--stdin", stdin=LARGE)
    started: list[GitProcess] = []
    with pytest.raises(LimitExceeded, match="git wrote more than expected"):
        run_git(
            place,
            *("cat-file", "blob", hash_object("blob", LARGE)),
            output_max_bytes=1000,
            on_start=started.append,
        )
    assert started[0].poll() is not None


def test_git_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    fifo = tmp_path / "never-written"
    os.mkfifo(fifo)
    started: list[GitProcess] = []
    with pytest.raises(TimedOut, match="git took too long"):
        run_git(NOWHERE, "hash-object", str(fifo), timeout_s=0.1, on_start=started.append)
    assert started[0].poll() == -signal.SIGKILL


def test_configuration_and_variables_hold_for_one_call(place: GitPlace) -> None:
    asked = ("config", "--get", "pack.threads")
    assert run_git(place, *asked, config={"pack.threads": "3"}).stdout == b"3\n"
    assert run_git(place, *asked, ok_codes=frozenset({1})).stdout == b""
    named = run_git(place, "var", "GIT_AUTHOR_IDENT", env=_author("Ada")).stdout
    assert named.startswith(b"Ada <ada@example.test>")


def _author(name: str) -> dict[str, str]:
    return {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": "ada@example.test"}


def test_git_sees_no_configuration_but_ours(place: GitPlace, tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text("[alias]\nleak = !echo leaked\n")
    listing = ("config", "--list", "--name-only")
    os.environ["GIT_AUTHOR_NAME"] = "leaked"
    try:
        listed = run_git(NOWHERE, *listing, env={"HOME": str(tmp_path)}).stdout
        with pytest.raises(GitFailed):
            run_git(place, "var", "GIT_AUTHOR_IDENT", config={"user.useConfigOnly": "true"})
    finally:
        del os.environ["GIT_AUTHOR_NAME"]
    assert b"alias.leak" not in listed
    assert b"protocol.allow" in listed


def test_output_streams_piece_by_piece(place: GitPlace) -> None:
    run_git(place, "hash-object", "-w", "--stdin", stdin=LARGE)
    pieces = list(iter_git_output(place, "cat-file", "blob", hash_object("blob", LARGE)))
    assert len(pieces) > 1
    assert b"".join(pieces) == LARGE


def test_closing_a_stream_ends_git(place: GitPlace) -> None:
    run_git(place, "hash-object", "-w", "--stdin", stdin=LARGE)
    started: list[GitProcess] = []
    pieces = iter_git_output(place, "cat-file", "blob", hash_object("blob", LARGE), on_start=started.append)
    next(pieces)
    assert started[0].poll() is None
    pieces.close()
    assert started[0].poll() == -signal.SIGKILL


def test_a_failing_stream_raises_after_its_last_piece(place: GitPlace) -> None:
    oid = run_git(place, "hash-object", "-w", "--stdin", stdin=b"x").stdout.decode().strip()
    lines = f"{oid}\nnonsense".encode()
    pieces = iter_git_output(place, "cat-file", "--batch-check", stdin=lines)
    assert b"".join(pieces).endswith(b"nonsense missing\n")
    broken = iter_git_output(place, "rev-list", "--stdin", stdin=b"1" * 40)
    with pytest.raises(GitFailed) as failed:
        list(broken)
    assert failed.value.objects == ["1" * 40]


def test_messages_of_a_successful_stream_are_passed_on(place: GitPlace) -> None:
    told: list[bytes] = []
    asked = ("cat-file", "-p", "--batch-check")  # a usage error: git fails, so no messages are passed on
    with pytest.raises(GitFailed):
        list(iter_git_output(place, *asked, on_messages=told.append))
    assert told == []
    list(iter_git_output(place, *asked, ok_codes=frozenset({129}), on_messages=told.append))
    assert b"usage" in told[0]


def test_messages_of_a_stream_are_passed_on_after_a_timeout(place: GitPlace, fake_git: FakeGit) -> None:
    fake_git("echo so far >&2; while :; do :; done")
    told: list[bytes] = []
    stream = iter_git_output(place, "grep", silence_max_s=0.3, on_messages=told.append)
    with pytest.raises(TimedOut):
        list(stream)
    assert told == [b"so far\n"]


def test_lines_are_the_same_however_the_output_is_cut() -> None:
    text = b"one\ntwo\n\nfour\nwithout end"
    for size in range(1, len(text) + 1):
        pieces = (text[start : start + size] for start in range(0, len(text), size))
        assert list(iter_lines(pieces)) == [b"one", b"two", b"", b"four"]


def test_leaving_lines_unread_closes_their_source(place: GitPlace) -> None:
    run_git(place, "hash-object", "-w", "--stdin", stdin=LARGE)
    started: list[GitProcess] = []
    lines = iter_lines(
        iter_git_output(place, "cat-file", "blob", hash_object("blob", LARGE), on_start=started.append)
    )
    assert next(lines) == b"a line of text"
    del lines
    assert started[0].poll() is not None


def test_another_program_is_given_a_home_and_nothing_else(tmp_path: Path) -> None:
    shown = run_program(["env"], home=tmp_path, timeout_s=60, output_max_bytes=10_000)
    names = {line.partition(b"=")[0] for line in shown.stdout.splitlines()}
    assert names <= {b"PATH", b"LC_ALL", b"TZ", b"HOME", b"PWD", b"SHLVL", b"_"}
    assert f"HOME={tmp_path}\n".encode() in shown.stdout


def test_another_program_may_end_with_any_exit_code(tmp_path: Path) -> None:
    done = run_program(
        ["sh", "-c", "cat; echo no >&2; exit 3"],
        home=tmp_path,
        stdin=b"in",
        timeout_s=60,
        output_max_bytes=100,
    )
    assert done == GitResult("sh", 3, b"in", b"no\n")
    assert done.text == "no\n"


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing) as missing:
        run_program(["no-such-program"], home=tmp_path, timeout_s=60, output_max_bytes=100)
    assert missing.value.fields == {"program": "no-such-program"}


def test_the_memory_of_git_is_bounded(place: GitPlace) -> None:
    with pytest.raises(GitFailed) as failed:
        run_git(
            place,
            *("hash-object", "--stdin"),
            stdin=LARGE,
            on_start=lambda git: git.limit_memory(1_000_000),
        )
    assert failed.value.is_for_memory


def test_the_processor_time_of_git_is_bounded(place: GitPlace) -> None:
    with spawn_git(place, "hash-object", "--stdin") as git:
        git.limit_cpu(7)
        bounds = Path(f"/proc/{git.pid}/limits").read_text().splitlines()
    assert next(line.split() for line in bounds if "cpu time" in line)[3:5] == ["7", "8"]


@pytest.mark.parametrize(
    ("exit_code", "messages", "is_for_memory"),
    [
        (128, "fatal: Out of memory, malloc failed", True),
        (128, "fatal: mmap failed: Cannot allocate", True),
        (-signal.SIGKILL, "", True),
        (128, "fatal: bad object", False),
        (None, "fatal: bad object", False),
        (
            127,
            "git: error while loading shared libraries: libz.so.1: failed to map segment from shared object",
            True,
        ),
    ],
)
def test_a_lack_of_memory_is_recognised(exit_code: int | None, messages: str, is_for_memory: bool) -> None:
    assert GitFailed("diff-tree", messages=messages, exit_code=exit_code).is_for_memory is is_for_memory


@pytest.mark.parametrize(
    ("messages", "says_out_of_memory"),
    [
        ("fatal: Out of memory, malloc failed", True),
        ("fatal: mmap failed: Cannot allocate memory", True),
        ("fatal: mmap failed: Invalid argument", False),
        ("merge-tree: out-of-memory - not something we can merge", False),
        ("", False),
    ],
)
def test_only_a_sentence_of_git_says_that_memory_is_lacking(messages: str, says_out_of_memory: bool) -> None:
    failed = GitFailed("merge-tree", messages=messages, exit_code=-signal.SIGKILL)
    assert failed.says_out_of_memory is says_out_of_memory


class Watcher:
    """Runs git anywhere, and notes the complaints that it must check."""

    def __init__(self) -> None:
        self.complaints: list[tuple[str, bool]] = []

    def place(self) -> GitPlace:
        return NOWHERE

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        self.complaints.append((complaint.messages, may_lack))


@pytest.mark.parametrize(
    ("code", "stderr", "is_looked_into"),
    [
        (0, b"", False),
        (1, b"warning: odd\n", False),
        (0, b"error: Could not read 1\n", True),
        (128, b"fatal: bad\n", True),
    ],
)
def test_a_result_is_checked_when_git_complains_in_it(code: int, stderr: bytes, is_looked_into: bool) -> None:
    watcher = Watcher()
    check_answer(watcher, GitResult("rev-list", code, b"", stderr), may_lack=True)
    assert watcher.complaints == ([(stderr.decode(), True)] if is_looked_into else [])


def test_a_place_without_a_repository_explains_no_complaint(place: GitPlace) -> None:
    runner = AtPlace(place)
    assert runner.place() is place
    check_answer(runner, GitResult("rev-list", 128, b"", b"fatal: bad object"))


def test_a_complaint_names_packs_and_objects() -> None:
    complaint = GitFailed(
        "rev-list", messages=f"error: Could not read {'1' * 40}\n./objects/pack/pack-{'2' * 40}.idx"
    )
    assert (complaint.objects, complaint.packs) == (["1" * 40], ["2" * 40])
    assert not complaint.is_about_derived_files
    assert GitFailed("rev-list", messages="fatal: bad pack-int-id: 18").is_about_derived_files
    assert complaint.command == "rev-list"
    assert "code" not in complaint.fields
