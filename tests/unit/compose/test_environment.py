"""What compose is told, and the script that makes it for those who have no more than a shell."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from deploy.compose.environment import environment, of_ports, variable_of_secret
from deploy.local.errors import StackError
from deploy.local.ports import resolve
from deploy.local.state import ROOT
from tests.unit.compose import reading


def test_a_secrets_variable_names_whose_it_is() -> None:
    assert variable_of_secret("ingest_password") == "WAYBILL_INGEST_DATABASE_PASSWORD"
    assert variable_of_secret("postgres_password") == "WAYBILL_POSTGRES_PASSWORD"
    assert variable_of_secret("secret_key") == "WAYBILL_SECRET_KEY"


def test_settings_are_passed_on_and_another_stacks_doors_are_not(tmp_path: Path) -> None:
    caller = {
        "PATH": "/bin",
        "DOCKER_HOST": "unix:///x",
        "WAYBILL_LOG_LEVEL": "DEBUG",
        "WAYBILL_API_KEY": "sk_live_x",
        "WAYBILL_S3_ENDPOINT": "x",
        "WAYBILL_WEBHOOK_ALLOW_LOOPBACK": "false",
    }
    told = environment(resolve({"WAYBILL_PORT_BASE": "20000"}), reading.secrets(tmp_path) | {"api_key": "sk_live_y"}, caller)
    assert (told["PATH"], told["DOCKER_HOST"], told["WAYBILL_LOG_LEVEL"]) == ("/bin", "unix:///x", "DEBUG")
    assert not {"WAYBILL_API_KEY", "WAYBILL_S3_ENDPOINT"} & told.keys()
    assert (told["WAYBILL_PORT"], told["WAYBILL_KAFKA_PORT"], told["WAYBILL_FORMATTER_PORTS"]) == ("20000", "20008", "20004-20005")
    assert told["WAYBILL_PUBLIC_URL"] == "http://127.0.0.1:20000"
    assert (told["WAYBILL_WEBHOOK_ALLOW_HTTP"], told["WAYBILL_WEBHOOK_ALLOW_LOOPBACK"]) == ("true", "false")


def test_formatters_ports_that_are_no_range_are_refused_by_name() -> None:
    with pytest.raises(StackError, match="WAYBILL_FORMATTER_2_PORT must be one more than WAYBILL_FORMATTER_1_PORT"):
        of_ports(resolve({"WAYBILL_FORMATTER_2_PORT": "9999"}))


def _make_env(root: Path) -> dict[str, str]:
    done = subprocess.run(["sh", str(root / "deploy/compose/make-env")], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in (root / ".env").read_text("ascii").splitlines())


def test_a_shell_makes_every_secret_once(tmp_path: Path) -> None:
    (tmp_path / "deploy/compose").mkdir(parents=True)
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copy(ROOT / "deploy/compose/make-env", tmp_path / "deploy/compose")
    first = _make_env(tmp_path)
    assert first.keys() == reading.asked_for()
    assert all(len(value) == 64 and set(value) <= set("0123456789abcdef") for value in first.values())
    assert len(set(first.values())) == len(first)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    (tmp_path / ".env").write_text("WAYBILL_PORT=80\n" + (tmp_path / ".env").read_text())
    assert _make_env(tmp_path) == {"WAYBILL_PORT": "80"} | first
