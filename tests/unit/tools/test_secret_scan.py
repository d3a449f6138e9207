"""Planted secrets are found, whatever kind of file they lie in; what this checkout holds is clean."""

import secrets
import subprocess
from pathlib import Path

import pytest

from tools.secret_scan import files, scan

# Put together here, so that none of them lies in this file.
API_KEY = "sk_" + "live_" + secrets.token_hex(12)
AWS_KEY = "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
PRIVATE_KEY = "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"
RANDOM = secrets.token_hex(32)


def planted(folder: Path, name: str, text: str) -> list[str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [kind for _, _, kind in scan(folder, [name])]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("services/ingest/app.py", f'KEY = "{API_KEY}"\n', "Stripe Access Key"),
        ("tests/unit/test_x.py", f'KEY = "{API_KEY}"\n', "Stripe Access Key"),
        ("docs/operations.md", f"WAYBILL_S3_ACCESS_KEY={AWS_KEY}\n", "AWS Access Key"),
        ("deploy/local/signing.pem", PRIVATE_KEY, "Private Key"),
        ("docker-compose.yml", f"      WAYBILL_SECRET_KEY: '{RANDOM}'\n", "Hex High Entropy String"),
        ("shared/settings.py", 'password = "korrekt-pferd-batterie"\n', "Secret Keyword"),
        ("docs/security.md", "postgresql://waybill_ingest:hunter22@db.example/waybill\n", "Basic Auth Credentials"),
    ],
    ids=["key", "key in a test", "key in a page", "private key", "random", "password", "URL"],
)
def test_a_planted_secret_is_found(tmp_path: Path, name: str, text: str, kind: str) -> None:
    assert kind in planted(tmp_path, name, text)


def test_what_somebody_looked_at_is_none(tmp_path: Path) -> None:
    assert planted(tmp_path, "cli/frame.py", 'password = "korrekt-pferd-batterie"  # pragma: allowlist secret\n') == []
    assert planted(tmp_path, "cli/x.py", 'password = os.environ["WAYBILL_PASSWORD"]\n') == []


def test_what_git_would_take_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text("")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "theirs.py").write_text("")
    (tmp_path / "requirements.lock").write_text("")
    assert files(tmp_path) == ["new.py"]
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text(".venv/\n.env\n")
    (tmp_path / ".env").write_text("")
    assert files(tmp_path) == [".gitignore", "new.py"]
