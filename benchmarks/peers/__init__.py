"""The same five operations on common stacks, for comparison.

Their successful responses equal those of this service. They have no idempotency keys, no
preconditions and no deadline.
"""
