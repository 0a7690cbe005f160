"""One module per Lambda function: HTTP in, HTTP out, no rules."""

import gc
import logging

from product_lambda.utils.imports import import_lazily

# What a function imports stays for as long as it runs: looking for garbage in it while it is being
# loaded only makes the cold start longer. `entry.endpoint`, the last step, starts that again.
gc.disable()

# The DynamoDB client imports asyncio for calls that no function makes, and log records would ask it
# for the task that they were written in.
import_lazily("asyncio")
logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # typeshed lacks it
