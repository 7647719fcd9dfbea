"""Whether a commit has a good signature by one of some keys, as ssh-keygen and gpg judge it at this moment.

A key that is expired or revoked now is refused, also for older signatures: the times in a commit and in its signature
come from the signer. Sources: git's gpg-interface.c for the signed text and the form of signatures; ssh-keygen(1), "-Y
verify"; gnupg's doc/DETAILS, "Format of the --status-fd output".
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final

from packhouse import limits
from packhouse.git.commands.run import run_program
from packhouse.git.commands.signatures.signing_keys import SigningKey, SigningKeyKind, gpg_command
from packhouse.git.objects import split_signature

_SSH_SIGNATURE: Final = b"-----BEGIN SSH SIGNATURE-----\n"
_PGP_SIGNATURE: Final = b"-----BEGIN PGP SIGNATURE-----\n"
_GIT_NAMESPACE: Final = "git"
_ANYBODY: Final = "signer"  # a principal's name; each line of ours allows any name
_BAD_STATUS: Final = frozenset(
    {b"BADSIG", b"ERRSIG", b"EXPSIG", b"EXPKEYSIG", b"REVKEYSIG", b"NO_PUBKEY", b"FAILURE", b"UNEXPECTED"}
)
_VALIDSIG_CLASS: Final = 9  # after the keyword: the class of the signature
_BINARY_DOCUMENT: Final = b"00"


class SignatureChecker:
    """Checks commits against a set of keys. Its scratch folder, below `scratch`, is removed at the end of the block."""

    def __init__(self, scratch: Path, keys: Iterable[SigningKey]) -> None:
        self._home = scratch / f"signatures-{os.urandom(8).hex()}"
        self._home.mkdir(mode=0o700)
        self._ssh_lines: list[str] = []
        self._openpgp_blocks: list[str] = []
        for key in keys:
            wanted = self._ssh_lines if key.kind is SigningKeyKind.SSH else self._openpgp_blocks
            wanted.append(key.text)
        self._allowed_signers: Path | None = None
        self._keyring_made = False

    def __enter__(self) -> "SignatureChecker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._home, ignore_errors=True)

    def check(self, commit: bytes) -> bool:
        """Tell whether the commit with this content has a good signature by one of the keys.

        Raises ProgramMissing, TimedOut.
        """
        if commit.partition(b"\n\n")[0].count(b"\ngpgsig ") != 1:
            return False
        signed = split_signature(commit)
        if signed is None:
            return False
        signature, payload = signed
        if signature.startswith(_SSH_SIGNATURE) and self._ssh_lines:
            return self._check_ssh(signature, payload)
        if signature.startswith(_PGP_SIGNATURE) and self._openpgp_blocks:
            return self._check_openpgp(signature, payload)
        return False

    def _check_ssh(self, signature: bytes, payload: bytes) -> bool:
        if self._allowed_signers is None:
            self._allowed_signers = self._home / "allowed_signers"
            self._allowed_signers.write_text(
                "".join(f"{line}\n" for line in self._ssh_lines), encoding="utf-8"
            )
        file = self._write_signature(signature)
        options = ["-n", _GIT_NAMESPACE, "-I", _ANYBODY, "-f", str(self._allowed_signers), "-s", str(file)]
        return self._run(["ssh-keygen", "-Y", "verify", *options], payload)[0] == 0

    def _check_openpgp(self, signature: bytes, payload: bytes) -> bool:
        if not self._keyring_made:
            blocks = "".join(self._openpgp_blocks).encode("utf-8")
            self._run(gpg_command(self._home, "--import"), blocks)
            self._keyring_made = True
        file = self._write_signature(signature)
        code, stdout = self._run(
            gpg_command(self._home, "--status-fd=1", "--verify", "--", str(file), "-"), payload
        )
        return code == 0 and _is_good(stdout)

    def _write_signature(self, signature: bytes) -> Path:
        file = self._home / "signature"
        file.write_bytes(signature)
        return file

    def _run(self, command: list[str], stdin: bytes) -> tuple[int, bytes]:
        done = run_program(
            command,
            home=self._home,
            stdin=stdin,
            timeout_s=limits.signature_program_max_s,
            output_max_bytes=limits.signature_output_max_bytes,
        )
        return done.code, done.stdout


def _is_good(status: bytes) -> bool:
    """Tell whether gpg found exactly one signature, and a good one of the class that git makes."""
    rows = [line.split(b" ")[1:] for line in status.splitlines() if line.startswith(b"[GNUPG:] ")]
    words = [row[0] for row in rows if row]
    valid = [row for row in rows if row[:1] == [b"VALIDSIG"]]
    return (
        words.count(b"GOODSIG") == 1
        and len(valid) == 1
        and valid[0][_VALIDSIG_CLASS : _VALIDSIG_CLASS + 1] == [_BINARY_DOCUMENT]
        and _BAD_STATUS.isdisjoint(words)
    )
