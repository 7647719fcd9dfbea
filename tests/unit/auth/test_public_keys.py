"""Which keys an organisation may register."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from packhouse.auth.public_keys import (
    KeyRejected,
    encode_public_key,
    key_algorithm,
    parse_public_key,
)
from tests.unit.auth.forge import private_key

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_each_type_of_key_is_parsed_and_has_its_algorithm(algorithm: str) -> None:
    pem = encode_public_key(private_key(algorithm).public_key())
    key = parse_public_key(f"some words before\n{pem}")
    assert key_algorithm(key) == algorithm
    assert encode_public_key(key) == pem


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_is_refused_with_the_command_that_makes_the_public_one(form: PrivateFormat) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    with pytest.raises(KeyRejected) as refusal:
        parse_public_key(pem)
    sentence = str(refusal.value)
    assert "private key" in sentence
    assert "openssl pkey" in sentence
    assert pem.splitlines()[1] not in sentence


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=1024), "2048 bits"),
        (ec.generate_private_key(ec.SECP384R1()), "P-256"),
        (ec.generate_private_key(ec.SECP256K1()), "P-256"),
        (ed448.Ed448PrivateKey.generate(), "only EC P-256"),
        (x25519.X25519PrivateKey.generate(), "only EC P-256"),
        (dsa.generate_private_key(1024), "only EC P-256"),
    ],
)
def test_other_types_curves_and_sizes_are_refused(key: ec.EllipticCurvePrivateKey, words: str) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(KeyRejected, match=words):
        parse_public_key(pem)


def test_text_that_is_not_a_public_key_is_refused() -> None:
    good = encode_public_key(private_key("ES256").public_key())
    lines = good.splitlines()
    for text in (
        "",
        "hello",
        "-----BEGIN PUBLIC KEY-----",
        "\n".join([lines[0], lines[1][:-9], *lines[2:]]),
        good.replace("PUBLIC KEY", "CERTIFICATE"),
        good + good,
        good + "\ud800",
        good + "x" * 70_000,
    ):
        with pytest.raises(KeyRejected):
            parse_public_key(text)
