"""Signatures on commits, made with real git, gpg and ssh-keygen."""

import subprocess
from pathlib import Path

import pytest

from packhouse.git.commands.signatures.signature_check import SignatureChecker
from packhouse.git.commands.signatures.signing_keys import (
    SigningKey,
    SigningKeyKind,
    SigningKeyRejected,
    parse_signing_key,
)
from tests.support.builders.signers import KeyMaker, Signer
from tests.support.clients.git import Git
from tests.support.servers.programs import need_programs


@pytest.fixture
def work(git: Git, tmp_path: Path) -> Path:
    """An empty work tree."""
    return git.init(tmp_path / "work")


def parse(tmp_path: Path, text: str) -> SigningKey:
    scratch = tmp_path / f"parse{len(list(tmp_path.iterdir()))}"
    scratch.mkdir(mode=0o700)
    return parse_signing_key(text, scratch=scratch)


def content(git: Git, work: Path, revision: str = "HEAD") -> bytes:
    done = git.try_run("cat-file", "commit", revision, cwd=work)
    assert done.returncode == 0
    return done.stdout


def check(tmp_path: Path, commit: bytes, *keys: SigningKey) -> bool:
    with SignatureChecker(tmp_path, keys) as checker:
        return checker.check(commit)


@pytest.mark.parametrize("kind", ["pgp", "ssh"])
def test_a_good_signature_of_a_known_key_counts(
    kind: str, git: Git, work: Path, tmp_path: Path, request: pytest.FixtureRequest, keys: KeyMaker
) -> None:
    signer: Signer = request.getfixturevalue(kind)
    key = parse(tmp_path, signer.public)
    signer.commit(git, work, "a")
    good = content(git, work)
    stranger = keys.ssh() if kind == "ssh" else keys.openpgp()
    assert check(tmp_path, good, key)
    assert check(tmp_path, good, parse(tmp_path, stranger.public), key)
    assert not check(tmp_path, good, parse(tmp_path, stranger.public))
    assert not check(tmp_path, good)


@pytest.mark.parametrize("kind", ["pgp", "ssh"])
def test_a_forged_commit_is_refused(
    kind: str, git: Git, work: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    signer: Signer = request.getfixturevalue(kind)
    key = parse(tmp_path, signer.public)
    signer.commit(git, work, "a")
    good = content(git, work)
    assert not check(tmp_path, good.replace(b"add a", b"add b"), key)
    head, _, body = good.partition(b"\n\n")
    signature = head[head.index(b"gpgsig ") :]
    assert not check(tmp_path, head + b"\n" + signature + b"\n\n" + body, key), "two signatures"
    assert not check(tmp_path, good.replace(b"gpgsig ", b"gpgsig-sha256 "), key)
    git.commit(work, {"plain": b"1"})
    assert not check(tmp_path, content(git, work), key)
    plain = content(git, work).replace(b"\n\n", b"\n" + signature + b"\n\n", 1)
    assert not check(tmp_path, plain, key), "a signature of another commit"


def test_a_signature_for_another_purpose_is_refused(
    ssh: Signer, git: Git, work: Path, tmp_path: Path
) -> None:
    git.commit(work, {"plain": b"1"})
    plain = content(git, work)
    path = ssh.config[-1].partition("=")[2]
    signed = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", path, "-n", "file"], input=plain, capture_output=True, check=True
    ).stdout
    header = b"gpgsig " + signed.rstrip(b"\n").replace(b"\n", b"\n ")
    head, _, body = plain.partition(b"\n\n")
    assert not check(tmp_path, head + b"\n" + header + b"\n\n" + body, parse(tmp_path, ssh.public))


def test_an_expired_or_revoked_key_is_refused(
    keys: KeyMaker, ssh: Signer, git: Git, work: Path, tmp_path: Path
) -> None:
    expired = keys.openpgp(faked_time="20200101T000000", expire="1y")
    expired.commit(git, work, "expired")
    with pytest.raises(SigningKeyRejected, match="expired"):
        parse(tmp_path, expired.public)
    assert not check(
        tmp_path, content(git, work), SigningKey(SigningKeyKind.OPENPGP, expired.public, "unread")
    )
    revoked = keys.openpgp()
    revoked.commit(git, work, "revoked")
    good = content(git, work)
    key = parse(tmp_path, revoked.public)
    assert check(tmp_path, good, key)
    old = keys.openpgp(revoke=True)
    with pytest.raises(SigningKeyRejected, match="revoked"):
        parse(tmp_path, old.public)
    ssh.commit(git, work, "ssh")
    good = content(git, work)
    for options, verdict in (
        ('namespaces="git"', True),
        ('valid-before="20200101Z"', False),
        ('valid-after="29990101Z"', False),
        ('valid-after="20200101Z",valid-before="29990101Z"', True),
    ):
        line = parse(tmp_path, f"ada@example.test {options} {ssh.public}")
        assert check(tmp_path, good, line) is verdict, options


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_every_usual_kind_of_ssh_key_counts(
    kind: str, keys: KeyMaker, git: Git, work: Path, tmp_path: Path
) -> None:
    signer = keys.ssh(kind)
    signer.commit(git, work, "a")
    assert check(tmp_path, content(git, work), parse(tmp_path, signer.public))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-dss AAAAB3NzaC1kc3MAAACBAP ada",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnonsense\n-----END PGP PUBLIC KEY BLOCK-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
        "a b c ssh-ed25519 AAAA",
        "\udcff",
    ],
)
def test_text_that_is_not_a_public_key_is_rejected(text: str, tmp_path: Path) -> None:
    need_programs("gpg", "ssh-keygen")
    with pytest.raises(SigningKeyRejected):
        parse(tmp_path, text)


def test_lines_with_options_that_cannot_be_enforced_are_rejected(
    ssh: Signer, pgp: Signer, tmp_path: Path
) -> None:
    for options in ("cert-authority", 'namespaces="file"', "no-such-option", 'valid-before="soon"'):
        with pytest.raises(SigningKeyRejected):
            parse(tmp_path, f"ada@example.test {options} {ssh.public}")
    with pytest.raises(SigningKeyRejected):
        parse(tmp_path, f"{ssh.public}\n{ssh.public}")
    with pytest.raises(SigningKeyRejected):
        parse(tmp_path, pgp.public + pgp.public.replace("Ada", "Eve") + "\n" + ssh.public + "\nPRIVATE KEY")
