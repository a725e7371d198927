"""Signed statements: any change is seen, another key is refused, and the model is held to it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from audit.audit_fakes import FakeModel, WordJudge, broken, good, suite

from holdfast.audit import Policy, audit
from holdfast.cli.app import main
from holdfast.errors import InputError
from holdfast.gate import check_release, decide, sign, statement, verify

pytest.importorskip("cryptography", reason="the extra 'sign' is not installed")


def _key(folder: Path, name: str, kind: str = "ed25519", password: bytes | None = None) -> Path:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    private: Any = (
        ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    hidden: Any = serialization.NoEncryption()
    if password:
        hidden = serialization.BestAvailableEncryption(password)
    pem = serialization.Encoding.PEM
    path = folder / f"{name}.pem"
    path.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, hidden))
    public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.with_suffix(".pub").write_bytes(public)
    return path


def _audit(folder: Path, share: float = 0.0) -> Path:
    audit(
        FakeModel(good, "base"),
        FakeModel(broken(share), "tuned"),
        policy=Policy(),
        suites=[suite()],
        judges=[WordJudge()],
        out=folder,
    )
    return folder


def _envelope(path: Path, value: dict[str, Any]) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


@pytest.fixture
def signed(tmp_path: Path) -> dict[str, Any]:
    made = statement(decide(_audit(tmp_path / "a"), Policy()))
    return sign(made, _key(tmp_path, "release"))


def test_what_was_signed_comes_back(tmp_path: Path, signed: dict[str, Any]) -> None:
    made = verify(_envelope(tmp_path / "s.json", signed), tmp_path / "release.pub")
    assert made == statement(decide(tmp_path / "a", Policy()))


def test_the_signature_is_the_one_that_the_dsse_protocol_prescribes(
    tmp_path: Path, signed: dict[str, Any]
) -> None:
    """Checked by openssl, on bytes put together here."""
    payload = base64.b64decode(signed["payload"])
    kind = b"application/vnd.in-toto+json"
    signed_bytes = b" ".join([b"DSSEv1", b"28", kind, str(len(payload)).encode(), payload])
    (tmp_path / "bytes").write_bytes(signed_bytes)
    (tmp_path / "sig").write_bytes(base64.b64decode(signed["signatures"][0]["sig"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "release.pub", "-rawin", "-in", "bytes"]
    try:
        done = subprocess.run([*command, "-sigfile", "sig"], cwd=tmp_path, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert done.returncode == 0, done.stderr


def test_any_change_and_any_other_key_is_refused(tmp_path: Path, signed: dict[str, Any]) -> None:
    _key(tmp_path, "other")
    path = _envelope(tmp_path / "s.json", signed)
    with pytest.raises(InputError, match="is not signed with the key"):
        verify(path, tmp_path / "other.pub")
    payload = base64.b64decode(signed["payload"]).replace(b"weights-tuned", b"weights-other")
    changed = signed | {"payload": base64.b64encode(payload).decode()}
    with pytest.raises(InputError, match="is not signed with the key"):
        verify(_envelope(path, changed), tmp_path / "release.pub")
    with pytest.raises(InputError, match="is not signed with the key"):
        verify(_envelope(path, signed | {"payloadType": "text/plain"}), tmp_path / "release.pub")
    with pytest.raises(InputError, match="is not signed with the key"):
        verify(_envelope(path, signed | {"signatures": []}), tmp_path / "release.pub")
    for broken_file in ({"payload": "!"}, {"_type": "bare statement"}):
        with pytest.raises(InputError, match="is not a signed statement"):
            verify(_envelope(path, broken_file), tmp_path / "release.pub")


def test_keys_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"subject": [], "predicate": {}}
    with pytest.raises(InputError, match="cannot read the private key"):
        sign(made, tmp_path / "none.pem")
    (tmp_path / "junk.pem").write_text("no key", encoding="utf-8")
    with pytest.raises(InputError, match="is not a usable private key"):
        sign(made, tmp_path / "junk.pem")
    with pytest.raises(InputError, match="is not an Ed25519 key"):
        sign(made, _key(tmp_path, "curve", "p256"))
    locked = _key(tmp_path, "locked", password=b"open sesame")
    with pytest.raises(InputError, match="HOLDFAST_KEY_PASSWORD"):
        sign(made, locked)
    monkeypatch.setenv("HOLDFAST_KEY_PASSWORD", "open sesame")
    verify(_envelope(tmp_path / "s.json", sign(made, locked)), tmp_path / "locked.pub")


def test_a_failed_model_is_not_released(tmp_path: Path) -> None:
    made = statement(decide(_audit(tmp_path / "a", 0.2), Policy()))
    path = _envelope(tmp_path / "s.json", sign(made, _key(tmp_path, "release")))
    found = check_release(path, tmp_path / "release.pub")
    assert found.exit_code == 1 and "harm" in found.reasons[0]


def test_command_signs_and_checks_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    from tiny_models import save_adapter, save_llama

    from holdfast import models

    base = save_llama(tmp_path / "base")
    adapter = save_adapter(tmp_path / "adapter", base)
    other = save_adapter(tmp_path / "other", base, seed=9)
    pair = models.load_pair(base, adapter)
    policy = Policy.model_validate({"decoding": {"max_new_tokens": 2}, "margins": dict.fromkeys(_AXES)})
    audit(*pair, policy=policy, suites=[suite(4, 4, 4)], judges=[WordJudge()], out=tmp_path / "a")
    (tmp_path / "policy.yaml").write_text(policy.model_dump_json(), encoding="utf-8")
    _key(tmp_path, "release")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["holdfast", "gate", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0)

    signing = ("--statement", "s.json", "--sign", "release.pem")
    assert call("a", "--policy", "policy.yaml", *signing) == 3  # nothing is gated: inconclusive
    checking = ("--verify", "s.json", "--public-key", "release.pub")
    assert call(*checking, "--model", "adapter") == 1
    assert "the gate did not pass it" in capfd.readouterr().err
    assert call(*checking, "--model", "other") == 1
    assert "other is not the model of this statement" in capfd.readouterr().err
    assert call("--verify", "s.json") == 2
    assert call("a", "--policy", "policy.yaml", "--sign", "release.pem") == 2
    assert call("--policy", "policy.yaml") == 2
    assert other != adapter


_AXES = ("harm", "over_refusal", "capability", "identity", "task", "coherence")
