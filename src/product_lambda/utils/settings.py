"""The settings of the functions, read once from environment variables and checked together."""

from collections.abc import Mapping
from typing import NamedTuple


class Settings(NamedTuple):
    """The settings of a function of the API; `.env.example` describes each."""

    table_name: str
    cors_allowed_origins: tuple[str, ...]
    aws_region: str
    aws_endpoint_url: str | None
    log_level: str
    read_cache_control: str
    edge_cache_seconds: int | None
    read_only: bool
    product_indexes: bool
    change_queue_url: str | None


class EventSettings(NamedTuple):
    """The settings of a function behind a queue or a stream.

    Attributes:
        required: the values of the required variables, by name.
    """

    required: Mapping[str, str]
    aws_region: str
    aws_endpoint_url: str | None
    log_level: str


_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_MAX_EDGE_SECONDS = 86_400


class _Environment:
    """Reads variables and collects the sentences about those that are missing or invalid."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._errors: list[str] = []

    def required(self, name: str, description: str) -> str:
        value = self._variables.get(name, "").strip(" ,")  # only commas are no value
        if not value:
            self._errors.append(f"set {name} to {description}")
        return value

    def optional(self, name: str) -> str | None:
        return self._variables.get(name, "").strip() or None

    def one_of(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.optional(name) or default
        if value not in allowed:
            self._errors.append(f"set {name} to one of {', '.join(allowed)}")
        return value

    def switch(self, name: str) -> bool:
        return self.one_of(name, "false", ("true", "false")) == "true"

    def whole_number(self, name: str, maximum: int) -> int | None:
        value = self.optional(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= maximum):
            self._errors.append(f"set {name} to a whole number from 1 to {maximum}")
            return None
        return int(value)

    def check(self) -> None:
        if self._errors:
            raise ValueError(f"The configuration is not complete: {'; '.join(self._errors)}.")


def load_settings(variables: Mapping[str, str]) -> Settings:
    """Read the settings of a function of the API from environment variables.

    Raises:
        ValueError: one sentence that names every missing or invalid variable.
    """
    environment = _Environment(variables)
    origins = environment.required(
        "CORS_ALLOWED_ORIGINS", "the portal's origins, separated by commas, or to *"
    )
    settings = Settings(
        table_name=environment.required("TABLE_NAME", "the name of the DynamoDB table"),
        cors_allowed_origins=tuple(part.strip() for part in origins.split(",") if part.strip()),
        aws_region=environment.required("AWS_REGION", "the region of the table"),
        aws_endpoint_url=environment.optional("AWS_ENDPOINT_URL"),
        log_level=environment.one_of("LOG_LEVEL", "INFO", _LOG_LEVELS),
        read_cache_control=environment.optional("READ_CACHE_CONTROL") or "no-cache",
        edge_cache_seconds=environment.whole_number("EDGE_CACHE_SECONDS", _MAX_EDGE_SECONDS),
        read_only=environment.switch("READ_ONLY"),
        product_indexes=environment.switch("PRODUCT_INDEXES"),
        change_queue_url=environment.optional("CHANGE_QUEUE_URL"),
    )
    environment.check()
    return settings


def load_event_settings(variables: Mapping[str, str], required: Mapping[str, str]) -> EventSettings:
    """Read the settings of a function behind a queue or a stream from environment variables.

    Args:
        variables: the environment variables.
        required: the names of the variables that it needs, with their descriptions.

    Raises:
        ValueError: one sentence that names every missing or invalid variable.
    """
    environment = _Environment(variables)
    settings = EventSettings(
        required={name: environment.required(name, text) for name, text in required.items()},
        aws_region=environment.required("AWS_REGION", "the region of the function"),
        aws_endpoint_url=environment.optional("AWS_ENDPOINT_URL"),
        log_level=environment.one_of("LOG_LEVEL", "INFO", _LOG_LEVELS),
    )
    environment.check()
    return settings
