"""One module per Lambda function: HTTP in, HTTP out, no rules."""

import gc
import logging
from typing import Final

from product_lambda.utils.imports import import_lazily

# Imports create many objects and no garbage. With Python's default threshold of 700 objects, the
# collector runs hundreds of times in a cold start and finds nothing.
_OBJECTS_BEFORE_COLLECTION: Final = 50_000
gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)

# The DynamoDB client imports asyncio for calls that no function makes, and each log record would
# ask it for the current task.
import_lazily("asyncio")
logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # typeshed lacks it

# No log line shows the thread, the process or the line of code that wrote it (Python HOWTOs,
# "Logging HOWTO", section "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None  # noqa: SLF001
