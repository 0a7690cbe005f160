"""The one pattern of internal details that no response may show: libraries, storage and code.

It is applied to texts of the service, not to values that a request sent and a response repeats.
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
