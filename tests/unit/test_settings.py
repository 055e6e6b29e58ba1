"""Settings that cannot be used end in a line that names them, and never tell a secret."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.common import dashboard
from services.common.settings import InvalidSettings, Settings, get_settings
from tests.certificates import Authority

SECRET = "not-for-anybodys-eyes"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor a `.env` of this machine counts."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    get_settings.cache_clear()


def refusal_of(text: str) -> str:
    """What is said of a `.env` with that text."""
    Path(".env").write_text(text)
    with pytest.raises(InvalidSettings) as told:
        get_settings()
    return str(told.value)


def test_a_password_is_asked_for_where_the_protocol_needs_one() -> None:
    told = refusal_of("KAFKA_SECURITY_PROTOCOL=SASL_SSL\nKAFKA_SASL_USERNAME=key\n")
    assert "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD too" in told


def test_no_secret_is_told_with_what_is_wrong() -> None:
    told = refusal_of(f"KAFKA_SECURITY_PROTOCOL=SASL_SSL\nKAFKA_SASL_PASSWORD={SECRET}\nCLICKHOUSE_PASSWORD={SECRET}\n")
    assert SECRET not in told
    assert "KAFKA_PARTITIONS: Input should be less than or equal to 32 (got '99')" in refusal_of("KAFKA_PARTITIONS=99")


@pytest.mark.parametrize("name", ["KAFKA_SSL_CA_LOCATION", "CLICKHOUSE_CA_LOCATION"])
def test_a_ca_file_must_be_there_and_hold_a_certificate(name: str, tmp_path: Path) -> None:
    assert f"{name}: {tmp_path}/ca.pem cannot be read: No such file or directory; name a file" in refusal_of(
        f"{name}=ca.pem\n"
    )
    Path("ca.pem").write_text("no certificate\n")
    get_settings.cache_clear()
    assert f"{name}: {tmp_path}/ca.pem holds no certificate (PEM); name a file" in refusal_of(f"{name}=ca.pem\n")

    Authority(tmp_path, "own")
    Path(".env").write_text(f"{name}=own.pem\n")
    get_settings.cache_clear()
    # absolute, for a child that runs in another directory
    assert getattr(get_settings(), name.lower()) == str(tmp_path / "own.pem")


def test_the_dashboard_keeps_what_stands_in_env_although_it_runs_in_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text(
        f"CLICKHOUSE_HOST=example.clickhouse.cloud\nCLICKHOUSE_SECURE=true\nCLICKHOUSE_READER_PASSWORD={SECRET}\n"
    )
    monkeypatch.setattr(dashboard.os, "environ", dict(dashboard.os.environ))
    started: list[list[str]] = []
    monkeypatch.setattr(dashboard.os, "execv", lambda _program, arguments: started.append(arguments))
    monkeypatch.setenv("PORT", "8765")
    monkeypatch.setenv("LISTEN_ADDRESS", "0.0.0.0")
    assert dashboard.command.callback
    dashboard.command.callback(address=None)

    assert Path.cwd().name == "dashboards"
    get_settings.cache_clear()
    child = get_settings()
    assert (child.clickhouse_host, child.clickhouse_secure) == ("example.clickhouse.cloud", True)
    assert child.clickhouse_reader_password == SecretStr(SECRET)
    assert "--server.address 0.0.0.0 --server.port 8765" in " ".join(started[0])
