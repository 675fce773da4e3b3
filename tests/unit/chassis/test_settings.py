# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from services.chassis.settings import ServiceSettings, SettingsError
from services.chassis.variables import Mode, Secret, read, whole


@dataclass(frozen=True, kw_only=True)
class ShopSettings(ServiceSettings):
    SERVICE: ClassVar[str] = "shop"
    port: int = field(default=9001, metadata=read(whole(1, 65_535), "a TCP port"))
    shelves: int = field(default=3, metadata=read(whole(1, 9), "1-9 shelves"))


PRODUCTION = {
    "KEYTURN_MODE": "production",
    "KEYTURN_DATABASE_URL": "postgresql+psycopg://u:kV9xQ2mZr7tLw4Bn@db/vault",
    "KEYTURN_KAFKA_SERVERS": "k1:9093",
    "KEYTURN_KAFKA_SECURITY": "SSL",
    "KEYTURN_INSTALLATION": "0192",
    "KEYTURN_ALLOWED_HOSTS": "vault.internal, vault",
    "KEYTURN_HOST": "10.0.0.5",
    "KEYTURN_TRUSTED_PROXIES": "10.0.0.1",
}

SASL: dict[str, str | None] = {
    "KEYTURN_KAFKA_SECURITY": "SASL_SSL",
    "KEYTURN_KAFKA_USERNAME": "keyturn",
    "KEYTURN_KAFKA_PASSWORD": "kV9xQ2mZr7tLw4BnkV9xQ2mZr7tLw4Bn",
}


def test_nothing_set_gives_the_embedded_defaults() -> None:
    settings = ShopSettings.from_environ({})
    assert settings.mode is Mode.EMBEDDED
    assert settings.database_url is None
    assert settings.port == 9001
    assert settings.serves_docs
    assert "127.0.0.1" in settings.hosts


def test_own_variable_wins_over_the_shared_one() -> None:
    environ = {"KEYTURN_PORT": "7000", "KEYTURN_SHOP_PORT": "7001"}
    assert ShopSettings.from_environ(environ).port == 7001
    assert ShopSettings.from_environ({"KEYTURN_PORT": "7000"}).port == 7000


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KEYTURN_PORT", "hunter2hunter2"),
        ("KEYTURN_PORT", "70000"),
        ("KEYTURN_PORT", "-1"),
        ("KEYTURN_PORT", "٣"),
        ("KEYTURN_MODE", "hunter2hunter2"),
        ("KEYTURN_DEMONSTRATION", "hunter2hunter2"),
        ("KEYTURN_VAULT_URL", "ftp://hunter2hunter2"),
        ("KEYTURN_VAULT_URL", "http://u:hunter2hunter2@host"),
        ("KEYTURN_SHOP_SHELVES", "hunter2hunter2"),
    ],
)
def test_a_wrong_value_names_the_variable_and_never_the_value(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        ShopSettings.from_environ({variable: value})
    assert caught.value.variable == variable
    assert caught.value.fix
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_production_with_everything_set_starts_without_docs() -> None:
    settings = ShopSettings.from_environ(PRODUCTION)
    assert settings.hosts == ("vault.internal", "vault")
    assert not settings.serves_docs


@pytest.mark.parametrize(
    ("change", "variable"),
    [
        ({"KEYTURN_DATABASE_URL": None}, "KEYTURN_SHOP_DATABASE_URL"),
        ({"KEYTURN_KAFKA_SERVERS": None}, "KEYTURN_SHOP_KAFKA_SERVERS"),
        ({"KEYTURN_ALLOWED_HOSTS": None}, "KEYTURN_SHOP_ALLOWED_HOSTS"),
        ({"KEYTURN_ALLOWED_HOSTS": "*"}, "KEYTURN_ALLOWED_HOSTS"),
        ({"KEYTURN_KAFKA_SECURITY": None}, "KEYTURN_KAFKA_SECURITY"),
        ({"KEYTURN_DEMONSTRATION": "true"}, "KEYTURN_DEMONSTRATION"),
        ({"KEYTURN_TRUSTED_PROXIES": None}, "KEYTURN_TLS_CERTIFICATE"),
        ({"KEYTURN_AUDIT_URL": "http://audit:8403"}, "KEYTURN_SHOP_AUDIT_URL"),
        ({"KEYTURN_DATABASE_URL": "postgresql://u:changeme@db/v"},
         "KEYTURN_SHOP_DATABASE_URL"),
        ({**SASL, "KEYTURN_KAFKA_PASSWORD": "example-password-1234"},
         "KEYTURN_SHOP_KAFKA_PASSWORD"),
        ({**SASL, "KEYTURN_KAFKA_PASSWORD": "short"}, "KEYTURN_SHOP_KAFKA_PASSWORD"),
        ({**SASL, "KEYTURN_KAFKA_USERNAME": None}, "KEYTURN_KAFKA_PASSWORD"),
        ({"KEYTURN_KAFKA_USERNAME": "keyturn"}, "KEYTURN_KAFKA_SECURITY"),
        ({"KEYTURN_KAFKA_SECURITY": "TLS"}, "KEYTURN_KAFKA_SECURITY"),
        ({"KEYTURN_TLS_CERTIFICATE": "c.pem", "KEYTURN_TLS_KEY": "c.key"},
         "KEYTURN_SHOP_TLS_CLIENT_CA_FILE"),
        ({"KEYTURN_TLS_CLIENT_CA_FILE": "ca.pem"}, "KEYTURN_TLS_CLIENT_CA_FILE"),
    ],
)  # fmt: skip
def test_production_refuses_to_start_without_protection(
    change: dict[str, str | None], variable: str
) -> None:
    environ = {k: v for k, v in {**PRODUCTION, **change}.items() if v is not None}
    with pytest.raises(SettingsError) as caught:
        ShopSettings.from_environ(environ)
    assert caught.value.variable == variable


def test_only_a_demonstration_can_be_told_to_crash() -> None:
    environ = {"KEYTURN_CRASH_AT": "publish.before_tiles:3"}
    with pytest.raises(SettingsError) as caught:
        ShopSettings.from_environ(environ)
    assert caught.value.variable == "KEYTURN_CRASH_AT"
    settings = ShopSettings.from_environ({**environ, "KEYTURN_DEMONSTRATION": "true"})
    assert settings.crash_at == ("publish.before_tiles", 3)


def test_keys_may_not_lie_inside_the_state() -> None:
    with pytest.raises(SettingsError):
        ShopSettings.from_environ(
            {"KEYTURN_STATE_DIR": "data", "KEYTURN_KEYS_DIR": "data/keys"}
        )


@pytest.mark.parametrize("algorithms", ["none", "HS256", "RS256", "", "Ed25519,HS256"])
def test_own_issuer_accepts_its_one_algorithm_only(algorithms: str) -> None:
    with pytest.raises(SettingsError):
        ShopSettings.from_environ({"KEYTURN_TOKEN_ALGORITHMS": algorithms})


def test_a_secret_is_shown_nowhere() -> None:
    secret = Secret("kV9xQ2mZr7tLw4Bn")
    settings = ShopSettings(kafka_password=secret)
    for text in (repr(secret), str(secret), f"{secret:>20}", repr(settings)):
        assert "kV9x" not in text
    assert settings.kafka_password == secret
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        ShopSettings().port = 1  # type: ignore[misc]


def test_installation_comes_from_its_file_and_names_the_fix_when_missing(
    tmp_path: Path,
) -> None:
    settings = ShopSettings(state_dir=tmp_path)
    with pytest.raises(SettingsError, match=r"services\.vault init"):
        _ = settings.installation_id
    (tmp_path / "installation.json").write_text(json.dumps({"installation": "0192"}))
    assert settings.issuer == "urn:keyturn:0192:issuer"
    assert settings.audience == "urn:keyturn:0192"


def test_a_secret_is_read_from_the_file_that_the_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql+psycopg://u:kV9xQ2mZr7tLw4Bn@db/shop\n")
    environ = {**PRODUCTION, "KEYTURN_SHOP_DATABASE_URL_FILE": str(file)}
    settings = ShopSettings.from_environ(environ)  # the service's own wins
    assert settings.database_url is not None
    assert settings.database_url.reveal().endswith("@db/shop")


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff", b"x" * 4_097])
def test_a_file_without_one_secret_stops_the_start(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "hunter2hunter2"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        ShopSettings.from_environ({"KEYTURN_KAFKA_PASSWORD_FILE": str(file)})
    assert caught.value.variable == "KEYTURN_KAFKA_PASSWORD_FILE"
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    environ = {**PRODUCTION, "KEYTURN_DATABASE_URL_FILE": str(tmp_path / "url")}
    with pytest.raises(SettingsError, match="KEYTURN_DATABASE_URL_FILE"):
        ShopSettings.from_environ(environ)


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("7000")
    environ = {"KEYTURN_PORT_FILE": str(tmp_path / "port")}
    assert ShopSettings.from_environ(environ).port == 9001
