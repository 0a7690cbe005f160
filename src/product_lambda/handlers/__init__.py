"""One module per Lambda function: HTTP in, HTTP out, no rules."""

import gc

# What a function imports stays for as long as it runs: looking for garbage in it while it is being
# loaded only makes the cold start longer. `entry.endpoint`, the last step, starts that again.
gc.disable()
