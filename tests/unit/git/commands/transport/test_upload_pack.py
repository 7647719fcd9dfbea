"""What upload-pack serves: the refs of one namespace, in the protocol that the client speaks."""

import re
from pathlib import Path

import pytest

from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.process import GitProcess
from packhouse.git.commands.pump import Deadline
from packhouse.git.commands.run import collect
from packhouse.git.commands.transport.upload_pack import start_upload_pack, upload_pack_failure
from packhouse.git.oid import Oid
from tests.support.clients.git import Git
from tests.support.clients.git_runner import WorkTree

pytestmark = pytest.mark.quick


@pytest.fixture
def served(tmp_path: Path) -> WorkTree:
    """A repository with a branch of its own and one of the ephemeral namespace."""
    work = WorkTree(Git(tmp_path / "home"), tmp_path / "served")
    work.commit({"a": b"a\n"})
    hidden = work.commit({"a": b"b\n"})
    work.run("update-ref", "refs/namespaces/ephemeral/refs/heads/draft", hidden)
    work.run("reset", "--quiet", "--hard", "HEAD~")
    return work


def pkt(text: str) -> bytes:
    return b"%04x%s" % (len(text) + 4, text.encode())


def answer(process: GitProcess, request: bytes) -> tuple[int, bytes, str]:
    """Feed a request; return the exit code, the answer and the messages."""
    with process:
        stdout, stderr = collect(process, [request], Deadline(60).time_left, output_max_bytes=10**7)
        return process.wait(60), stdout, stderr.decode()


def want(oid: Oid, capabilities: str = "ofs-delta no-progress") -> bytes:
    return pkt(f"want {oid} {capabilities}\n") + b"0000" + pkt("done\n")


def test_a_pack_of_the_wanted_objects_is_sent(served: WorkTree) -> None:
    code, stdout, stderr = answer(
        start_upload_pack(served.place(), namespace="", version=0), want(served.oid())
    )
    assert (code, stderr) == (0, "")
    assert stdout.startswith(b"0008NAK\nPACK")


def test_wants_need_not_be_advertised(served: WorkTree) -> None:
    """Access was checked before. A second rule in upload-pack would refuse allowed objects."""
    earlier = served.oid("refs/namespaces/ephemeral/refs/heads/draft")
    code, stdout, _ = answer(start_upload_pack(served.place(), namespace="", version=0), want(earlier))
    assert code == 0
    assert b"PACK" in stdout


def list_refs(place: GitPlace, namespace: str) -> list[str]:
    request = pkt("command=ls-refs\n") + b"0001" + b"0000"
    _, stdout, _ = answer(start_upload_pack(place, namespace=namespace, version=2), request)
    return re.findall(r"[0-9a-f]{40} (\S+)\n", stdout.decode())


def test_only_refs_of_the_namespace_are_seen(served: WorkTree) -> None:
    assert list_refs(served.place(), "") == ["HEAD", "refs/heads/main"]
    assert list_refs(served.place(), "ephemeral") == ["refs/heads/draft"]


def test_the_protocol_is_the_one_asked_for(served: WorkTree) -> None:
    request = pkt("command=nonsense\n") + b"0001" + b"0000"
    code, _, stderr = answer(start_upload_pack(served.place(), namespace="", version=2), request)
    assert code != 0
    assert "invalid command 'nonsense'" in stderr


def test_a_filter_by_paths_of_the_client_is_refused(served: WorkTree) -> None:
    filtered = (
        pkt(f"want {served.oid()} filter ofs-delta\n")
        + pkt("filter sparse:oid=HEAD:a\n")
        + b"0000"
        + pkt("done\n")
    )
    code, _, stderr = answer(start_upload_pack(served.place(), namespace="", version=0), filtered)
    assert code != 0
    assert "filter 'sparse:oid' not supported" in stderr
    allowed = filtered.replace(pkt("filter sparse:oid=HEAD:a\n"), pkt("filter blob:none\n"))
    assert answer(start_upload_pack(served.place(), namespace="", version=0), allowed)[0] == 0


def test_the_messages_name_the_unreadable_objects(served: WorkTree) -> None:
    blob = served.oid("HEAD:a")
    served.corrupt(blob)
    code, _, stderr = answer(start_upload_pack(served.place(), namespace="", version=0), want(served.oid()))
    assert code != 0
    assert blob in upload_pack_failure(stderr).objects
