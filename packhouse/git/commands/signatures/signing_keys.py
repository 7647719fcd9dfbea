"""Public keys that sign commits: OpenPGP blocks and SSH allowed-signers lines, checked before they are accepted.

Sources: ssh-keygen(1), "ALLOWED SIGNERS"; gnupg's doc/DETAILS, "Format of the colon listings".
"""

import re
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid
from packhouse.git.commands.run import run_program

OPENPGP_BLOCK: Final = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
RSA_BITS_MIN: Final = 2048

_SSH_KINDS: Final = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')
_OPTION = re.compile(r'(?P<name>[a-z-]+)(?:="?(?P<value>[^"]*)"?)?')
_OPTIONS = re.compile(r'(?:[^,"]|"[^"]*")+')
_SSH_FINGERPRINT = re.compile(rb"(\d+) (SHA256:\S+) ")
_DSA: Final = {"16", "17", "20"}  # DSA and ElGamal: RFC 4880 section 9.1
_RSA: Final = {"1", "2", "3"}


class SigningKeyKind(Enum):
    """The two forms of signatures that git makes with a person's own keys."""

    OPENPGP = "openpgp"
    SSH = "ssh"


class SigningKeyRejected(Invalid):
    """The text is not a public key that may sign commits."""

    code = Code.SIGNING_KEY_REJECTED
    reason: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A usable public key. `text` is its form for verification: an OpenPGP block or one SSH line."""

    kind: SigningKeyKind
    text: str
    fingerprint: str


def parse_signing_key(text: str, *, scratch: Path) -> SigningKey:
    """Return the key in `text`. The programs that read it work in a temporary folder below `scratch`.

    Raises SigningKeyRejected, and ProgramMissing when gpg or ssh-keygen is not installed.
    """
    if "PRIVATE KEY" in text:
        raise SigningKeyRejected("this is a private key; register its public half")
    with tempfile.TemporaryDirectory(prefix="key-", dir=scratch, ignore_cleanup_errors=True) as home:
        return _parse_public_key(text, Path(home))


def _parse_public_key(text: str, scratch: Path) -> SigningKey:
    if text.lstrip().startswith(OPENPGP_BLOCK):
        return _parse_openpgp(text, scratch)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) != 1:
        raise SigningKeyRejected("neither one OpenPGP public key block nor one SSH line")
    return _parse_ssh(lines[0], scratch)


def gpg_command(home: Path, *args: str) -> list[str]:
    """Return a command line of gpg that reads no configuration, prompts nobody and starts no agent."""
    return [
        "gpg",
        "--homedir",
        str(home),
        "--no-options",
        "--batch",
        "--no-tty",
        "--quiet",
        "--no-autostart",
        "--no-auto-check-trustdb",
        "--auto-key-locate=clear",
        "--no-auto-key-retrieve",
        "--weak-digest=SHA1",
        *args,
    ]


def _parse_openpgp(text: str, scratch: Path) -> SigningKey:
    shown = run_program(
        gpg_command(scratch, "--with-colons", "--show-keys"),
        home=scratch,
        stdin=text.encode("utf-8", "replace"),
        timeout_s=limits.signature_program_max_s,
        output_max_bytes=limits.signature_output_max_bytes,
    )
    rows = [line.split(":") for line in shown.stdout.decode("utf-8", "replace").splitlines()]
    primary = [row for row in rows if row[0] == "pub"]
    if len(primary) != 1 or any(row[0] in ("sec", "ssb") for row in rows):
        raise SigningKeyRejected("the block must hold one OpenPGP public key")
    validity, bits, algorithm = primary[0][1:4]
    if validity in ("e", "r", "i", "d"):
        words = {"e": "has expired", "r": "is revoked"}
        raise SigningKeyRejected(f"the key {words.get(validity, 'is not valid')}")
    if algorithm in _DSA or (algorithm in _RSA and int(bits) < RSA_BITS_MIN):
        raise SigningKeyRejected("DSA and RSA below 2048 bits are too weak")
    fingerprint = next(row[9] for row in rows if row[0] == "fpr")
    return SigningKey(SigningKeyKind.OPENPGP, text.strip() + "\n", fingerprint)


def _parse_ssh(line: str, scratch: Path) -> SigningKey:
    """Read an allowed-signers line or a plain public key. The principals in a line are ignored."""
    words: list[str] = _WORD.findall(line)
    at = next((number for number, word in enumerate(words) if word in _SSH_KINDS), None)
    if at is None or at > 2 or at + 1 >= len(words):
        raise SigningKeyRejected("no SSH public key of a known kind")
    options = _check_ssh_options(words[1]) if at == 2 else ""
    key = f"{words[at]} {words[at + 1]}"
    file = scratch / "key.pub"
    file.write_text(key + "\n", encoding="utf-8", errors="replace")
    shown = run_program(
        ["ssh-keygen", "-l", "-f", str(file)],
        home=scratch,
        timeout_s=limits.signature_program_max_s,
        output_max_bytes=limits.signature_output_max_bytes,
    )
    match = _SSH_FINGERPRINT.match(shown.stdout)
    if shown.code != 0 or match is None:
        raise SigningKeyRejected("the SSH public key cannot be read")
    if words[at] == "ssh-rsa" and int(match[1]) < RSA_BITS_MIN:
        raise SigningKeyRejected("RSA below 2048 bits is too weak")
    text = " ".join(part for part in ("*", options, key) if part)
    return SigningKey(SigningKeyKind.SSH, text, match[2].decode("ascii"))


def _check_ssh_options(text: str) -> str:
    """Return the options unchanged; raise SigningKeyRejected for options that this server cannot enforce."""
    for option in _OPTIONS.findall(text):
        match = _OPTION.fullmatch(option)
        name, value = (match["name"], match["value"] or "") if match else (option, "")
        if name == "namespaces":
            if "git" not in value.split(","):
                raise SigningKeyRejected("its namespaces leave out git")
        elif name not in ("valid-after", "valid-before") or not re.fullmatch(
            r"\d{8}(?:\d{4}(?:\d\d)?)?Z?", value
        ):
            raise SigningKeyRejected(f"the option {name[:40]} is not supported")
    return text
