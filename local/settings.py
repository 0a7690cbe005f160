"""The settings of the local server, read once from environment variables and validated together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import SettingsError

_LARGEST_PORT = 65535
_SHORTEST_KEY, _LONGEST_KEY = 20, 128  # of API Gateway ("API keys", CreateApiKey)
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the local server.

    Attributes:
        port: 0 selects a free port.
        api_key: None where the server creates the key.
        data_dir: the folder that keeps products and the key between runs.
        seed: whether to add those of the five plans that never existed.
        reload: whether to start again when the code changes.
    """

    port: int
    api_key: str | None
    data_dir: Path
    seed: bool
    reload: bool


def api_key_error(api_key: str) -> str | None:
    """Return what a key must be like if this one is invalid, else None."""
    if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        return "must consist of visible ASCII characters, without spaces"
    if not _SHORTEST_KEY <= len(api_key) <= _LONGEST_KEY:
        return f"must have {_SHORTEST_KEY} to {_LONGEST_KEY} characters"
    return None


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as unset.

    Raises:
        SettingsError: one or more variables are invalid.
    """
    port = environment.get("PORT") or "8000"
    api_key = environment.get("API_KEY") or None
    switches = {name: environment.get(name) or "0" for name in ("SEED", "RELOAD")}
    errors: list[str] = []
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > _LARGEST_PORT:
        errors.append(f"PORT must be a number from 0 to {_LARGEST_PORT}, such as 8000")
    if api_key and (error := api_key_error(api_key)):
        errors.append(f"API_KEY {error}")
    errors += [
        f"{name} must be one of {', '.join(_BOOLEANS)}"
        for name, value in switches.items()
        if value not in _BOOLEANS
    ]
    if errors:
        raise SettingsError(f"The settings cannot be used: {'; '.join(errors)}.")
    data_dir = Path(environment.get("DATA_DIR") or ".local/data").expanduser()
    seed, reload = (_BOOLEANS[value] for value in switches.values())
    return Settings(int(port), api_key, data_dir, seed, reload)
