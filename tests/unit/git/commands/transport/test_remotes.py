"""Another server, here a folder: its refs, fetches from it, and pushes to it."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from packhouse.git.commands.for_each_ref import list_refs
from packhouse.git.commands.transport.fetch import fetch_refs
from packhouse.git.commands.transport.ls_remote import list_remote_refs
from packhouse.git.commands.transport.push import PushedRef, push_refs
from packhouse.git.commands.transport.remote import (
    CredentialUnusable,
    Remote,
    RemoteFailed,
    RemoteFault,
    RemoteLogin,
    RemoteServer,
    find_fault,
    run_remote_git,
)
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName
from packhouse.secret import Secret
from tests.support.clients.git import Git
from tests.support.clients.git_runner import FakeGit, WorkTree

pytestmark = pytest.mark.quick

MAIN, SIDE = RefName(b"refs/heads/main"), RefName(b"refs/heads/side")
UNKNOWN = Oid("1" * 40)


def no_watch() -> None:
    """Never end the work early."""


@dataclass(frozen=True)
class There:
    """A bare repository with a commit on main, `v1`, and a newer one that is only a commit of the work tree."""

    work: WorkTree
    bare: Path
    old: Oid
    new: Oid

    @property
    def remote(self) -> Remote:
        return remote_at(self.bare)

    def refs(self) -> dict[str, str]:
        shown = self.work.git.run("for-each-ref", "--format=%(refname) %(objectname)", cwd=self.bare)
        return dict(line.split(" ") for line in shown.splitlines())


def remote_at(folder: Path) -> Remote:
    """Return a folder as a server, whose address needs no check."""
    return Remote(RemoteServer(f"file://{folder}", "file", "", 0, ()))


@pytest.fixture
def there(work: WorkTree, tmp_path: Path) -> There:
    old = work.commit({"a": b"a\n"})
    work.run("tag", "-a", "-m", "first", "v1")
    bare = tmp_path / "there.git"
    work.run("clone", "--quiet", "--bare", work.folder, bare)
    new = work.commit({"a": b"b\n"})
    return There(work, bare, old, new)


@pytest.fixture
def here(tmp_path: Path) -> WorkTree:
    """An empty repository that follows the other one."""
    return WorkTree(Git(tmp_path / "home"), tmp_path / "here")


def fetch(here: WorkTree, remote: Remote, *refs: tuple[bytes, bytes], allowed: tuple[str, ...] = ()) -> None:
    fetch_refs(here, remote, refs, allowed_faults=allowed, timeout_s=60, watch=no_watch)


def listed(here: WorkTree, remote: Remote, *names: bytes) -> set[bytes]:
    return list_remote_refs(here, remote, names, timeout_s=60, watch=no_watch)


def test_refs_of_the_other_server_are_listed(there: There, here: WorkTree) -> None:
    assert listed(here, there.remote, b"refs/heads/main", b"refs/tags/none") == {MAIN}
    assert listed(here, there.remote) == {MAIN, b"refs/tags/v1"}
    assert listed(here, there.remote, b"refs/heads/other") == set()


def test_refs_come_with_all_their_objects(there: There, here: WorkTree) -> None:
    fetch(
        here, there.remote, (b"refs/heads/*", b"refs/fetched/heads/*"), (b"refs/tags/v1", b"refs/fetched/v1")
    )
    assert list_refs(here, "refs") == [
        (b"refs/fetched/heads/main", there.old),
        (b"refs/fetched/v1", there.work.oid("v1")),
    ]
    here.run("fsck", "--strict", "--connectivity-only")


def test_a_forced_ref_is_taken_and_leaves_no_other_ref(there: There, here: WorkTree) -> None:
    fetch(here, there.remote, (MAIN, b"refs/fetched/heads/main"))
    there.work.run("commit", "--quiet", "--amend", "-m", "other", "--reset-author")
    forced = there.work.oid()
    there.work.run("push", "--quiet", "--force", there.bare, "HEAD:main")
    fetch(here, there.remote, (MAIN, b"refs/fetched/heads/main"))
    assert list_refs(here, "refs") == [(b"refs/fetched/heads/main", forced)]
    assert not (here.folder / ".git" / "FETCH_HEAD").exists()


def test_a_faulty_object_is_refused_unless_its_fault_is_allowed(there: There, here: WorkTree) -> None:
    tree = there.work.oid("HEAD^{tree}")
    faulty = there.work.write(
        "commit", f"tree {tree}\nauthor A 5 +0000\ncommitter C <c@x> 5 +0000\n\nm\n".encode()
    )
    there.work.run("push", "--quiet", "--force", there.bare, f"{faulty}:refs/heads/main")
    with pytest.raises(RemoteFailed) as refused:
        fetch(here, there.remote, (MAIN, b"refs/fetched/main"))
    assert refused.value.fault is RemoteFault.BAD_OBJECTS
    assert list_refs(here, "refs") == []
    fetch(here, there.remote, (MAIN, b"refs/fetched/main"), allowed=("missingEmail",))
    assert list_refs(here, "refs") == [(b"refs/fetched/main", faulty)]


@pytest.mark.parametrize("name", ["refs/heads/none", "refs/tags/none"])
def test_a_missing_ref_fails_the_fetch(there: There, here: WorkTree, name: str) -> None:
    with pytest.raises(RemoteFailed):
        fetch(here, there.remote, (name.encode(), b"refs/fetched/x"))


def test_a_server_that_does_not_answer_is_a_failure(here: WorkTree, tmp_path: Path) -> None:
    nowhere = remote_at(tmp_path / "nowhere")
    with pytest.raises(RemoteFailed):
        fetch(here, nowhere, (MAIN, MAIN))
    with pytest.raises(RemoteFailed):
        listed(here, nowhere)
    with pytest.raises(RemoteFailed):
        push_refs(here, nowhere, [PushedRef(MAIN, None, UNKNOWN)], atomic=False, timeout_s=60)


def test_only_the_named_kind_of_server_is_contacted(there: There, here: WorkTree) -> None:
    web = Remote(RemoteServer(f"file://{there.bare}", "https", "x.test", 443, ["127.0.0.1"]))
    with pytest.raises(RemoteFailed):
        fetch(here, web, (MAIN, b"refs/fetched/main"))
    assert list_refs(here, "refs") == []


class Enough(Exception):
    """The error that a watch raises."""


def test_a_watch_ends_the_work_also_when_git_is_done_at_once(there: There, here: WorkTree) -> None:
    def watch() -> None:
        if list_refs(here, "refs"):
            raise Enough

    with pytest.raises(Enough):
        fetch_refs(
            here,
            there.remote,
            [(MAIN, b"refs/fetched/main")],
            allowed_faults=(),
            timeout_s=60,
            watch=watch,
        )


def test_a_server_that_takes_too_long_is_given_up(there: There, here: WorkTree, fake_git: FakeGit) -> None:
    fifo = here.folder.parent / "fifo"
    os.mkfifo(fifo)
    fake_git(f"exec cat {fifo}")
    with pytest.raises(RemoteFailed) as late:
        list_remote_refs(here, there.remote, (), timeout_s=0.1, watch=no_watch)
    assert late.value.fault is RemoteFault.TIMED_OUT


def test_a_server_that_writes_without_end_is_given_up(
    there: There, here: WorkTree, fake_git: FakeGit
) -> None:
    fake_git("exec cat /dev/zero")
    with pytest.raises(RemoteFailed) as loud:
        listed(here, there.remote)
    assert loud.value.fault is RemoteFault.TOO_MUCH


def push(there: There, *refs: PushedRef, atomic: bool = False) -> set[RefName]:
    return push_refs(there.work, there.remote, refs, atomic=atomic, timeout_s=60)


def test_a_ref_moves_from_its_known_value(there: There) -> None:
    assert push(there, PushedRef(MAIN, there.old, there.new)) == {MAIN}
    assert there.refs()["refs/heads/main"] == there.new


def test_a_ref_that_was_moved_meanwhile_stays(there: There) -> None:
    assert push(there, PushedRef(MAIN, UNKNOWN, there.new)) == set()
    assert push(there, PushedRef(MAIN, None, there.new)) == set()
    assert there.refs()["refs/heads/main"] == there.old


def test_refs_are_made_and_deleted(there: There) -> None:
    assert push(there, PushedRef(SIDE, None, there.new)) == {SIDE}
    tag = RefName(b"refs/tags/v1")
    assert push(there, PushedRef(tag, there.work.oid("v1"), None)) == {tag}
    assert there.refs() == {"refs/heads/main": there.old, "refs/heads/side": there.new}


def test_a_ref_moves_backwards_when_its_value_is_known(there: There) -> None:
    push(there, PushedRef(MAIN, there.old, there.new))
    assert push(there, PushedRef(MAIN, there.new, there.old)) == {MAIN}


def test_each_ref_has_its_own_outcome_unless_the_push_is_atomic(there: There) -> None:
    refs = [PushedRef(MAIN, UNKNOWN, there.new), PushedRef(SIDE, None, there.new)]
    assert push(there, *refs, atomic=True) == set()
    assert there.refs().keys() == {"refs/heads/main", "refs/tags/v1"}
    assert push(there, *refs) == {SIDE}
    assert there.refs()["refs/heads/main"] == there.old


def test_a_ref_with_the_new_value_already_counts_as_moved(there: There) -> None:
    assert push(there, PushedRef(MAIN, there.old, there.old)) == {MAIN}


def test_a_server_that_refuses_a_ref_is_believed(there: There) -> None:
    hook = there.bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntest $1 != refs/heads/main\n")
    hook.chmod(0o755)
    refs = [PushedRef(MAIN, there.old, there.new), PushedRef(SIDE, None, there.new)]
    assert push(there, *refs) == {SIDE}


def test_hooks_of_this_side_do_not_run(there: There) -> None:
    hook = there.work.folder / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert push(there, PushedRef(MAIN, there.old, there.new)) == {MAIN}


LOGIN = RemoteLogin("bot", Secret("correct horse"))


def test_only_git_gets_the_credential(here: WorkTree, fake_git: FakeGit) -> None:
    """Git asks the helper more than once, and its command line and environment do not hold the answer."""
    script = (
        'i=0; while [ $i -lt $GIT_CONFIG_COUNT ]; do eval "name=\\$GIT_CONFIG_KEY_$i";'
        ' [ $name = credential.helper ] && eval "helper=\\$GIT_CONFIG_VALUE_$i"; i=$((i+1)); done;'
        ' for n in 1 2; do sh -c "${helper#!} get"; done; sh -c "${helper#!} store"; env'
    )
    fake_git(script)
    remote = Remote(RemoteServer("https://x.test/r.git", "https", "x.test", 443, ["127.0.0.1"]), LOGIN)
    done = run_remote_git(here, "fetch", remote=remote, timeout_s=60, watch=no_watch)
    assert done.stdout.startswith(b"username=bot\npassword=correct horse\n" * 2)
    assert done.stdout.count(b"correct horse") == 2
    assert b"http.curloptResolve" in done.stdout
    assert b"x.test:443:127.0.0.1" in done.stdout


@pytest.mark.parametrize(("username", "password"), [("a\nb", "x"), ("a", "x\ny"), ("a", "x\0"), ("a\r", "x")])
def test_a_credential_that_would_break_a_line_is_refused(
    here: WorkTree, username: str, password: str
) -> None:
    remote = Remote(remote_at(here.folder).server, RemoteLogin(username, Secret(password)))
    with pytest.raises(CredentialUnusable):
        listed(here, remote)


def test_no_descriptor_is_left_open(there: There, here: WorkTree) -> None:
    remote = Remote(there.remote.server, LOGIN)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        listed(here, remote)
    assert len(os.listdir("/proc/self/fd")) == before
    assert "correct horse" not in repr(remote)


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        (
            b"fatal: could not read Username for 'https://x': terminal prompts disabled",
            RemoteFault.NOT_LET_IN,
        ),
        (
            b"fatal: unable to access 'https://x/': The requested URL returned error: 403",
            RemoteFault.NOT_LET_IN,
        ),
        (b"SSL certificate problem: self-signed certificate", RemoteFault.CERTIFICATE),
        (b"fatal: unable to access: The requested URL returned error: 302", RemoteFault.REDIRECT),
        (b"fatal: unable to access: The requested URL returned error: 404", RemoteFault.NOT_FOUND),
        (b"Operation too slow. Less than 1 bytes/sec transferred", RemoteFault.TIMED_OUT),
        (b"fatal: unable to access 'x': Could not resolve host: x.test", RemoteFault.NOT_RESOLVED),
        (b"error: object 1: badTree\nfatal: fsck error in packed object", RemoteFault.BAD_OBJECTS),
        (b"fatal: pack exceeds maximum allowed size", RemoteFault.TOO_MUCH),
        (b"Failed to connect to x port 1: Connection refused", RemoteFault.NOT_CONNECTED),
        (b"fatal: the remote end hung up unexpectedly", RemoteFault.BROKEN_OFF),
        (b"fatal: something new", RemoteFault.UNKNOWN),
        (b"", RemoteFault.UNKNOWN),
        (b"remote: 404 not found\nfatal: something new", RemoteFault.UNKNOWN),
        (b"fatal: something new at 'https://x/certificate/timed out'", RemoteFault.UNKNOWN),
    ],
)
def test_the_fault_is_read_from_gits_messages(messages: bytes, fault: RemoteFault) -> None:
    assert find_fault(messages) is fault
