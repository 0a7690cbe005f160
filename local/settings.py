"""The local server's settings, read once from environment variables and checked as a whole."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import SettingsError

_LARGEST_PORT = 65535
_SWITCH = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person may choose.

    Attributes:
        port: 0 takes a free one.
        api_key: None where the server makes one itself.
        data_dir: where products and the key are kept between runs.
        seed: whether to load the five plans.
    """

    port: int
    api_key: str | None
    data_dir: Path
    seed: bool


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as unset.

    Raises:
        SettingsError: one or more variables are wrong.
    """
    port = environment.get("PORT") or "8000"
    api_key = environment.get("API_KEY") or None
    seed = environment.get("SEED") or "0"
    faults: list[str] = []
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > _LARGEST_PORT:
        faults.append(f"PORT must be a number from 0 to {_LARGEST_PORT}, such as 8000")
    if api_key and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        faults.append("API_KEY must be of visible ASCII characters, with no space")
    if seed not in _SWITCH:
        faults.append(f"SEED must be one of {', '.join(_SWITCH)}")
    if faults:
        raise SettingsError(f"The settings cannot be used: {'; '.join(faults)}.")
    data_dir = Path(environment.get("DATA_DIR") or ".local/data").expanduser()
    return Settings(int(port), api_key, data_dir, _SWITCH[seed])
