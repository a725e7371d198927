"""Signed statements: a DSSE envelope with an Ed25519 signature, and the check of one.

The envelope is what in-toto tools read (https://github.com/secure-systems-lab/dsse); keys are PEM
files as `openssl genpkey -algorithm ed25519` writes them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from holdfast.errors import InputError, missing_extra
from holdfast.files import read_json, to_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PASSWORD = "HOLDFAST_KEY_PASSWORD"
"""Environment variable with the password of an encrypted key."""


def sign(statement: Mapping[str, Any], key: Path) -> dict[str, Any]:
    """Put a statement into a signed envelope.

    Args:
        statement: As `gate.statement` gives it.
        key: PEM file with an Ed25519 private key.

    Raises:
        InputError: The key cannot be used, or the extra `sign` is not installed.
    """
    private = _private(key)
    payload = to_json(statement)
    signature = private.sign(_encoded(payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": _key_id(private.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def verify(path: Path, public_key: Path) -> dict[str, Any]:
    """The statement in an envelope, once its signature was checked.

    Raises:
        InputError: Not an envelope, or not signed with this key.
    """
    public = _public(public_key)
    from cryptography.exceptions import InvalidSignature

    envelope = read_json(path)
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(entry["sig"], validate=True) for entry in envelope["signatures"]]
        known = envelope["payloadType"] == PAYLOAD_TYPE
    except (KeyError, TypeError, binascii.Error, ValueError):
        raise InputError("is not a signed statement", path=path, fix="holdfast gate --sign KEY") from None
    for signature in signatures if known else ():
        try:
            public.verify(signature, _encoded(payload))
        except InvalidSignature:
            continue
        return dict(_statement(payload, path))
    raise InputError(f"is not signed with the key {public_key}", path=path, fix="do not trust this file")


def _statement(payload: bytes, path: Path) -> dict[str, Any]:
    value = orjson.loads(payload)
    if not isinstance(value, dict) or "predicate" not in value or "subject" not in value:
        raise InputError("holds no in-toto statement", path=path)
    return value


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _private(path: Path) -> Any:
    password = os.environ.get(PASSWORD)
    return _load(path, "private", password.encode() if password else None)


def _public(path: Path) -> Any:
    return _load(path, "public", None)


def _load(path: Path, kind: str, password: bytes | None) -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise missing_extra("sign", "cryptography") from None
    try:
        data = path.read_bytes()
        if kind == "private":
            key: Any = serialization.load_pem_private_key(data, password)
        else:
            key = serialization.load_pem_public_key(data)
    except OSError as error:
        raise InputError(f"cannot read the {kind} key: {error.strerror}", path=path) from None
    except (ValueError, TypeError) as error:
        fix = "openssl genpkey -algorithm ed25519 -out KEY; openssl pkey -in KEY -pubout -out PUBLIC"
        if isinstance(error, TypeError):
            fix = f"put its password into the environment variable {PASSWORD}"
        raise InputError(f"is not a usable {kind} key: {error}", path=path, fix=fix) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        raise InputError("is not an Ed25519 key", path=path, fix="openssl genpkey -algorithm ed25519")
    return key


def _key_id(public: Any) -> str:
    """SHA-256 of the public key in DER form, in hex."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
