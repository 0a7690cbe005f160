"""The local server's settings: what a person leaves out, and what a person mistypes."""

from pathlib import Path

import pytest

from local.errors import SettingsError
from local.settings import Settings, settings_from


def test_everything_has_a_default() -> None:
    assert settings_from({}) == Settings(8000, None, Path(".local/data"), seed=False)


def test_an_empty_variable_counts_as_unset() -> None:
    empty = dict.fromkeys(("PORT", "API_KEY", "DATA_DIR", "SEED"), "")

    assert settings_from(empty) == settings_from({})


def test_what_is_given_is_used() -> None:
    given = {"PORT": "8123", "API_KEY": "secret", "DATA_DIR": "elsewhere", "SEED": "1"}

    assert settings_from(given) == Settings(8123, "secret", Path("elsewhere"), seed=True)


def test_a_home_folder_may_be_written_with_a_tilde() -> None:
    assert settings_from({"DATA_DIR": "~/products"}).data_dir == Path.home() / "products"


@pytest.mark.parametrize(
    "port", ["http", "-1", "65536", "80.0", "\N{FULLWIDTH DIGIT EIGHT}", " 80", "9" * 5000]
)
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(SettingsError, match="PORT must be a number from 0 to 65535"):
        settings_from({"PORT": port})


@pytest.mark.parametrize("api_key", ["a b", "schlüssel", "tab\t", "line\n"])
def test_a_key_that_no_header_can_carry_is_refused(api_key: str) -> None:
    with pytest.raises(SettingsError, match="API_KEY must be of visible ASCII characters"):
        settings_from({"API_KEY": api_key})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"^The settings .*PORT .*; API_KEY .*; SEED .*\.$"):
        settings_from({"PORT": "x", "API_KEY": " ", "SEED": "maybe"})
