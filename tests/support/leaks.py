"""The one pattern of internal details that no response may contain: libraries, storage, code.

Apply it to texts of the service, not to values that a response repeats from its request.
"""

import re
from typing import Final

INTERNAL_DETAIL: Final = re.compile(
    # libraries and services
    r"dynamo|pydantic|pydynox|simplejson|boto|uvicorn|ministack|lambda"
    # code
    r"|traceback|exception|\w+Error\b|\.py\b|\bline \d|<class|Decimal\(|value_error|string_type"
    r"|\bRequestBody"
    # storage
    r"|arn:|127\.0\.0\.1|products-\w|ActiveProductsIndex|ConditionalCheck|updatedBy"
    r"|PRODUCT#|IDEMPOTENCY#|COUNTER#|METADATA|\bPK\b|\bSK\b",
    re.IGNORECASE,
)
