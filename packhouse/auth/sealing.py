"""Secrets at rest, sealed with AES-256-GCM (NIST SP 800-38D). The keys are in a file of the operator's.

The file has one key a line: `<key id> <base64 of 32 bytes>`. The first key seals; each key opens what it has sealed.
Associated data binds a sealed secret to its row, so that a person who can only write to the database cannot move it to
another row. 96-bit nonces are random: good for 2^32 seals with one key.
"""

import base64
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from packhouse import limits
from packhouse.errors import Code, Corrupt, Invalid, Unavailable
from packhouse.secret import Secret
from packhouse.whole_files import fsync_path, write_private_file

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_LINE: Final = re.compile(r"(?P<id>[a-z0-9_]{1,40}) (?P<key>[A-Za-z0-9+/]{43}=)")


class KeyFileOpenToOthers(Invalid, kw_only=True):
    """Other users may read the key file. Take their rights away."""

    code = Code.KEY_FILE_OPEN_TO_OTHERS
    file: str
    mode: str


class KeyFileMalformed(Invalid):
    """A line of the key file is not a key. The error does not quote it."""

    code = Code.KEY_FILE_MALFORMED
    file: str


class KeyFileEmpty(Invalid):
    """The key file holds no key."""

    code = Code.KEY_FILE_EMPTY
    file: str


class SealBroken(Corrupt):
    """A stored secret cannot be opened: its key is missing from the key file, or the row was tampered with."""

    code = Code.SEAL_BROKEN
    sealed_with: str


class SecretKeyMissing(Unavailable):
    """There is no key file. Stored secrets need the file with the key that sealed them."""

    code = Code.SECRET_KEY_MISSING
    reason: str = field(init=False)
    file: str

    def __post_init__(self) -> None:
        self.reason = "put it back from its backup"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed secret and the id of the key that opens it."""

    content: bytes
    key_id: str


class SecretKeys:
    """The keys of one file. Only `ensure` makes the file. Safe for threads."""

    def __init__(self, path: Path, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._path = path
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._keys: dict[str, AESGCM] = {}

    def seal(self, secret: Secret, *, bound_to: str) -> Sealed:
        """Seal with the newest key. `bound_to` names the row, such as `git_credentials ggc_19fe`.

        Raises SecretKeyMissing.
        """
        keys = self._load(again=True)  # if only this process knew a key, nobody could open the secret later
        key_id = next(iter(keys))
        nonce = self._random_bytes(_NONCE_BYTES)
        content = keys[key_id].encrypt(nonce, secret.reveal().encode("utf-8"), bound_to.encode("utf-8"))
        return Sealed(nonce + content, key_id)

    def unseal(self, sealed: Sealed, *, bound_to: str) -> Secret:
        """Return the secret that was sealed for that row. Raises SealBroken."""
        try:
            keys = self._load()
            if sealed.key_id not in keys:
                keys = self._load(again=True)  # another process may have put a new key in front
        except SecretKeyMissing as missing:
            raise SealBroken(sealed.key_id) from missing
        if sealed.key_id not in keys:
            raise SealBroken(sealed.key_id)
        nonce, content = sealed.content[:_NONCE_BYTES], sealed.content[_NONCE_BYTES:]
        try:
            return Secret(
                keys[sealed.key_id].decrypt(nonce, content, bound_to.encode("utf-8")).decode("utf-8")
            )
        except (InvalidTag, ValueError):
            raise SealBroken(sealed.key_id) from None

    @property
    def newest(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._load()))

    def ensure(self) -> None:
        """Make the file if it is missing. Raises Invalid if it cannot be used."""
        if self.is_missing():
            self._create()
        self._load()

    def is_missing(self) -> bool:
        """Tell whether there is no key file."""
        return not self._path.exists()

    def rotate(self) -> str:
        """Put a new key before the others and return its id. It seals from now on."""
        self._load(again=True)
        line = self._new_line()
        self._replace(line + self._path.read_text("ascii"))
        return next(iter(self._load(again=True)))

    def drop_old(self) -> int:
        """Remove all keys except the newest from the file. Return their number. No secret may need them."""
        dropped = len(self._load(again=True)) - 1
        self._replace(self._path.read_text("ascii").splitlines(keepends=True)[0])
        self._load(again=True)
        return dropped

    def _load(self, *, again: bool = False) -> dict[str, AESGCM]:
        with self._lock:
            if again or not self._keys:
                self._keys = self._read()
            return self._keys

    def _read(self) -> dict[str, AESGCM]:
        try:
            with self._path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read(limits.key_file_max_bytes)
        except FileNotFoundError:
            raise SecretKeyMissing(str(self._path.absolute())) from None
        if mode & 0o007:
            raise KeyFileOpenToOthers(file=str(self._path), mode=f"{mode:o}")
        keys: dict[str, AESGCM] = {}
        for line in content.decode("ascii", "replace").splitlines():
            match = _LINE.fullmatch(line)
            if match is None:  # the line may be a key with a typing error, so it is not shown
                raise KeyFileMalformed(str(self._path))
            keys[match["id"]] = AESGCM(base64.b64decode(match["key"]))
        if not keys:
            raise KeyFileEmpty(str(self._path))
        return keys

    def _new_line(self) -> str:
        key = base64.b64encode(self._random_bytes(_KEY_BYTES)).decode("ascii")
        return f"k_{self._random_bytes(5).hex()} {key}\n"

    def _create(self) -> None:
        temporary = write_private_file(self._path, self._new_line().encode("ascii"))
        try:
            os.link(temporary, self._path)  # fails when another process was faster; then its key counts
        except FileExistsError:
            return
        finally:
            temporary.unlink()
        fsync_path(self._path.parent)

    def _replace(self, text: str) -> None:
        write_private_file(self._path, text.encode("ascii")).rename(self._path)
        fsync_path(self._path.parent)
