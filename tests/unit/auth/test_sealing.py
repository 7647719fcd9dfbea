"""Secrets at rest."""

import stat
from pathlib import Path

import pytest

from packhouse.auth.sealing import SealBroken, Sealed, SecretKeyMissing, SecretKeys
from packhouse.errors import Invalid
from packhouse.secret import Secret

pytestmark = pytest.mark.quick

TEXT = "glpat-\N{GREEK SMALL LETTER PI}-secret"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "secret-key"
    SecretKeys(path).ensure()
    return path


def test_a_secret_is_unsealed_only_for_its_row(path: Path) -> None:
    keys = SecretKeys(path)
    sealed = keys.seal(Secret(TEXT), bound_to="table row1")
    assert TEXT.encode() not in sealed.content
    assert keys.unseal(sealed, bound_to="table row1").reveal() == TEXT
    with pytest.raises(SealBroken):
        keys.unseal(sealed, bound_to="table row2")


def test_two_seals_of_one_secret_differ(path: Path) -> None:
    keys = SecretKeys(path)
    assert keys.seal(Secret(TEXT), bound_to="a") != keys.seal(Secret(TEXT), bound_to="a")


def test_a_flipped_bit_is_noticed(path: Path) -> None:
    keys = SecretKeys(path)
    sealed = keys.seal(Secret(TEXT), bound_to="a")
    for place in (0, 15, len(sealed.content) - 1):
        changed = bytearray(sealed.content)
        changed[place] ^= 1
        with pytest.raises(SealBroken):
            keys.unseal(Sealed(bytes(changed), sealed.key_id), bound_to="a")


def test_the_first_key_is_made_for_the_owner_alone_and_kept(path: Path) -> None:
    sealed = SecretKeys(path).seal(Secret(TEXT), bound_to="a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SecretKeys(path).unseal(sealed, bound_to="a").reveal() == TEXT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_after_a_rotation_old_and_new_secrets_open_in_processes_that_started_before(path: Path) -> None:
    running, rotating = SecretKeys(path), SecretKeys(path)
    old = running.seal(Secret("old"), bound_to="a")
    rotating.rotate()
    new = rotating.seal(Secret("new"), bound_to="a")
    assert new.key_id != old.key_id
    assert running.unseal(new, bound_to="a").reveal() == "new"
    assert running.unseal(old, bound_to="a").reveal() == "old"
    assert rotating.drop_old() == 1
    with pytest.raises(SealBroken):
        SecretKeys(path).unseal(old, bound_to="a")


def test_only_ensure_makes_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "secret-key"
    keys = SecretKeys(path)
    for use in (
        lambda: keys.seal(Secret(TEXT), bound_to="a"),
        keys.rotate,
        keys.drop_old,
        lambda: keys.newest,
    ):
        with pytest.raises(SecretKeyMissing, match="secret-key"):
            use()
    with pytest.raises(SealBroken):
        keys.unseal(Sealed(bytes(40), "k_1"), bound_to="a")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_lost_while_the_server_runs_is_not_replaced_by_a_new_key(path: Path) -> None:
    keys = SecretKeys(path)
    keys.seal(Secret(TEXT), bound_to="a")
    path.unlink()
    with pytest.raises(SealBroken):
        keys.unseal(Sealed(bytes(40), "k_of_another_process"), bound_to="a")
    assert not path.exists()


def test_a_file_that_others_can_read_is_refused(path: Path) -> None:
    path.chmod(0o604)
    with pytest.raises(Invalid):
        SecretKeys(path).ensure()


@pytest.mark.parametrize("content", ["", "k_1 short\n", "no key here\n"])
def test_a_malformed_file_is_refused_without_showing_it(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(Invalid) as failure:
        SecretKeys(path).ensure()
    assert not content.strip() or content.strip() not in str(failure.value)


def test_a_secret_is_not_shown_anywhere() -> None:
    secret = Secret(TEXT)
    assert TEXT not in f"{secret} {secret!r} {secret!s} {[secret]}"
