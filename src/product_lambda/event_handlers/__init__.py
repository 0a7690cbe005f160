"""One module per Lambda function behind a stream or a queue: a batch in, no rules."""

import gc
from typing import Final

# As in `handlers`: imports create many objects and no garbage.
_OBJECTS_BEFORE_COLLECTION: Final = 50_000
gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
