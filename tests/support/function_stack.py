"""The five functions of DEV on the engine, without the service's code, and their alarms."""

import io
import os
import zipfile
from typing import TYPE_CHECKING

from product_tools.aliases import ALIAS, Alias, Aliases
from product_tools.functions import function_names
from product_tools.traffic import Shift, alarm_prefixes

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_lambda import LambdaClient

FUNCTIONS = function_names("dev")
FIRST, *OTHERS = FUNCTIONS
ALARM = "bbws-product-api-dev-5xx"


def zipped(content: str) -> bytes:
    """Return the zip of a function that returns a text."""
    return zipped_code(f"VERSION = {content!r}\ndef handler(*_): return VERSION\n")


def zipped_code(code: str) -> bytes:
    """Return the zip of a function with this code in `function.py`; equal code, equal bytes."""
    archive = io.BytesIO()
    entry = zipfile.ZipInfo("function.py")  # without the time, which writestr() would add
    entry.external_attr = 0o644 << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(entry, code)
    return archive.getvalue()


class FunctionStack:
    """The five functions, each with version 1 behind its alias, and the alarms."""

    def __init__(self, functions: "LambdaClient", alarms: "CloudWatchClient") -> None:
        self.functions = functions
        self._alarms = alarms
        self._aliases = Aliases(functions)

    def create(self) -> None:
        """Create the functions and the alarms."""
        for function in FUNCTIONS:
            self.create_function(function)
        for prefix in alarm_prefixes("dev"):
            self._alarms.put_metric_alarm(
                AlarmName=f"{prefix}5xx",
                Namespace="AWS/Lambda",
                MetricName="Errors",
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                ComparisonOperator="GreaterThanThreshold",
                Threshold=1,
                TreatMissingData="ignore",
            )

    def create_function(self, function: str) -> None:
        """Create one function, with version 1 behind its alias."""
        self.functions.create_function(
            FunctionName=function,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/none",
            Handler="function.handler",
            Code={"ZipFile": zipped("1")},
            Publish=True,
        )
        self.functions.create_alias(FunctionName=function, Name=ALIAS, FunctionVersion="1")

    def delete(self) -> None:
        """Delete the functions and all alarms."""
        for function in FUNCTIONS:
            self.functions.delete_function(FunctionName=function)
        names = [alarm["AlarmName"] for alarm in self._alarms.describe_alarms()["MetricAlarms"]]
        self._alarms.delete_alarms(AlarmNames=names)

    def publish(self, *functions: str) -> None:
        """Publish a new version of the given functions, or of all."""
        for function in functions or FUNCTIONS:
            content = os.urandom(8).hex()
            self.functions.update_function_code(
                FunctionName=function, ZipFile=zipped(content), Publish=True
            )

    def alias(self, function: str = FIRST) -> Alias:
        """Return the alias of a function."""
        return self._aliases.read(function)

    def versions(self) -> list[str]:
        """Return the version that gets all requests, for each function."""
        aliases = [self.alias(function) for function in FUNCTIONS]
        assert [dict(alias.weights) for alias in aliases] == [{}] * len(aliases)
        return [alias.version for alias in aliases]

    def published(self, function: str = FIRST) -> list[str]:
        """Return the published versions of a function, oldest first."""
        listed = self.functions.list_versions_by_function(FunctionName=function)["Versions"]
        return [item["Version"] for item in listed if item["Version"] != "$LATEST"]

    def start_shift(self, function: str) -> None:
        """Leave a shift of a function unfinished, as a killed run does."""
        self.publish(function)
        Shift(self._aliases, [function]).step(10, lambda: None)

    def set_alarm(self, state: str) -> None:
        """Set the state of one alarm."""
        self._alarms.set_alarm_state(
            AlarmName=ALARM,
            StateValue=state,  # type: ignore[arg-type]
            StateReason="a test",
        )
