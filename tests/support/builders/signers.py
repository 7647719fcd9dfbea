"""Signers of commits, with their own OpenPGP and SSH keys and the real programs."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.clients.git import Git
from tests.support.servers.programs import need_programs

PROGRAM_TIMEOUT_S = 120


@dataclass(frozen=True)
class Signer:
    """A key, and the options with which git signs with it. An operator registers `public`."""

    public: str
    config: tuple[str, ...]
    env: dict[str, str]

    def commit(self, git: Git, work: Path, name: str, *options: str) -> str:
        """Make a signed commit of one new file. Return its id."""
        (work / name).write_text(name)
        git.run("add", name, cwd=work)
        self.run(git, work, "commit", "--quiet", "-S", "-m", f"add {name}", *options)
        return git.run("rev-parse", "HEAD", cwd=work)

    def run(self, git: Git, work: Path, *args: str) -> str:
        """Run git so that it signs with this key."""
        return git.run(*self.config, *args, cwd=work, env=self.env)


class KeyMaker:
    """Makes keys in a folder with a short path: gpg-agent's socket must fit in 107 bytes (unix(7))."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ph-", dir="/tmp"))
        self._count = 0

    def close(self) -> None:
        """End the agents and remove every key."""
        for home in self._folder.glob("gpg*"):
            self._run("gpgconf", "--homedir", str(home), "--kill", "all")
        shutil.rmtree(self._folder, ignore_errors=True)  # an ending agent removes its sockets meanwhile

    def ssh(self, kind: str = "ed25519") -> Signer:
        """Return a signer with a new SSH key."""
        need_programs("ssh-keygen")
        path = self._new_path("ssh")
        self._run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path))
        public = path.with_name(path.name + ".pub")
        config = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={path}")
        return Signer(public.read_text().strip(), config, {})

    def openpgp(self, *, faked_time: str = "", expire: str = "never", revoke: bool = False) -> Signer:
        """Return a signer with a new OpenPGP key, made and used at `faked_time` (20200101T000000) if given."""
        need_programs("gpg")
        home = self._new_path("gpg")
        home.mkdir(mode=0o700)
        faked = ["--faked-system-time", faked_time] if faked_time else []
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", *faked]
        self._run(*gpg, "--quick-gen-key", "Ada <ada@example.test>", "ed25519", "sign", expire)
        wrapper = home / "sign"
        wrapper.write_text(f'#!/bin/sh\nexec gpg --homedir {home} {" ".join(faked)} "$@"\n')
        wrapper.chmod(0o755)
        if revoke:
            revocation = next((home / "openpgp-revocs.d").glob("*.rev"))
            text = revocation.read_text().replace(":-----BEGIN", "-----BEGIN")
            self._run(*gpg, "--import", stdin=text)
        public = self._run(*gpg, "--armor", "--export")
        config = ("-c", f"gpg.program={wrapper}", "-c", "user.signingkey=ada@example.test")
        return Signer(public, config, {})

    def _new_path(self, kind: str) -> Path:
        self._count += 1
        return self._folder / f"{kind}{self._count}"

    @staticmethod
    def _run(*command: str, stdin: str = "") -> str:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout
