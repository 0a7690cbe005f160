"""The same operations as common stacks would have them, to measure against.

They answer as ours do where both answer with success; they make no other promise of ours.
"""
