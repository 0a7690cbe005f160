"""The settings of the local server: defaults, valid values and invalid values."""

from pathlib import Path

import pytest

from local.errors import SettingsError
from local.settings import Settings, settings_from

_KEY = "key-of-20-characters"


def test_settings_have_defaults() -> None:
    assert settings_from({}) == Settings(8000, None, Path(".local/data"), seed=False, reload=False)


def test_empty_variable_counts_as_unset() -> None:
    empty = dict.fromkeys(("PORT", "API_KEY", "DATA_DIR", "SEED", "RELOAD"), "")

    assert settings_from(empty) == settings_from({})


def test_given_values_are_used() -> None:
    given = {
        "PORT": "8123",
        "API_KEY": _KEY,
        "DATA_DIR": "elsewhere",
        "SEED": "1",
        "RELOAD": "true",
    }

    expected = Settings(8123, _KEY, Path("elsewhere"), seed=True, reload=True)
    assert settings_from(given) == expected


def test_tilde_is_home_folder() -> None:
    assert settings_from({"DATA_DIR": "~/products"}).data_dir == Path.home() / "products"


@pytest.mark.parametrize(
    "port", ["http", "-1", "65536", "80.0", "\N{FULLWIDTH DIGIT EIGHT}", " 80", "9" * 5000]
)
def test_invalid_port_is_rejected(port: str) -> None:
    with pytest.raises(SettingsError, match="PORT must be a number from 0 to 65535"):
        settings_from({"PORT": port})


@pytest.mark.parametrize("api_key", ["a b", "schlüssel", "tab\t", "line\n"])
def test_invalid_api_key_is_rejected(api_key: str) -> None:
    with pytest.raises(SettingsError, match="API_KEY must consist of visible ASCII characters"):
        settings_from({"API_KEY": api_key})


@pytest.mark.parametrize("api_key", ["x", _KEY[:-1], "x" * 129])
def test_api_key_of_other_length_is_rejected(api_key: str) -> None:
    with pytest.raises(SettingsError, match=r"API_KEY must have 20 to 128 characters\.$"):
        settings_from({"API_KEY": api_key})


@pytest.mark.parametrize("api_key", [_KEY, "x" * 128])
def test_api_key_of_valid_length_is_accepted(api_key: str) -> None:
    assert settings_from({"API_KEY": api_key}).api_key == api_key


def test_all_invalid_settings_are_named_at_once() -> None:
    with pytest.raises(
        SettingsError, match=r"^The settings .*PORT .*; API_KEY .*; SEED .*; RELOAD .*\.$"
    ):
        settings_from({"PORT": "x", "API_KEY": " ", "SEED": "maybe", "RELOAD": "2"})
