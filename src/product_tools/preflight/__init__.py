"""Checks of an account, a region and a GitHub repository before a deployment, by reading only.

`checks` has what all topics share; each other module has the checks of one topic.
"""
