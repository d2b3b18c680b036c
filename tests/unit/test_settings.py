"""Settings: by environment and file, and refused in plain words."""

from pathlib import Path

import pytest

from streams.settings import SettingsError, load_settings

SECRET = "k" * 65


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "xinshao.toml"
    file.write_text('partitions = 4\nnamespace = "wuhan"\n', encoding="utf-8")
    monkeypatch.setenv("XINSHAO_FILE", str(file))
    monkeypatch.setenv("XINSHAO_PARTITIONS", "16")
    settings = load_settings()
    assert (settings.partitions, settings.namespace) == (16, "wuhan")
    assert settings.topic("verdicts") == "wuhan.verdicts"


@pytest.mark.parametrize(
    ("name", "value"),
    [("PARTITIONS", "many"), ("NAMESPACE", "两江"), ("PORT", "70000"), ("IDENTITY_KEY", SECRET)],
)
def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"XINSHAO_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"XINSHAO_{name}" in str(caught.value)
    assert value not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_unreadable_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "xinshao.toml"
    file.write_text("partitions = [", encoding="utf-8")
    monkeypatch.setenv("XINSHAO_FILE", str(file))
    with pytest.raises(SettingsError, match="XINSHAO_FILE"):
        load_settings()


def test_the_identity_key_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XINSHAO_IDENTITY_KEY", "s3cret")
    assert "s3cret" not in repr(load_settings())


def test_a_folder_has_a_file_for_each_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets, file = tmp_path / "secrets", tmp_path / "xinshao.toml"
    secrets.mkdir()
    (secrets / "identity_key").write_text("of the folder\n", encoding="utf-8")
    (secrets / "clickhouse_password").write_text("of the folder\n", encoding="utf-8")
    (secrets / "grafana_password").write_text("of another program\n", encoding="utf-8")
    file.write_text('identity_key = "of the file"\nnamespace = "wuhan"\n', encoding="utf-8")
    monkeypatch.setenv("XINSHAO_SECRETS", str(secrets))
    monkeypatch.setenv("XINSHAO_FILE", str(file))
    monkeypatch.setenv("XINSHAO_CLICKHOUSE_PASSWORD", "of the environment")
    settings = load_settings()
    assert settings.identity_key.get_secret_value() == "of the folder"
    assert settings.clickhouse_password.get_secret_value() == "of the environment"
    assert settings.namespace == "wuhan"


def test_a_missing_folder_of_secrets_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XINSHAO_SECRETS", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="XINSHAO_SECRETS"):
        load_settings()
