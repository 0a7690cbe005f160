"""The service on one machine: the real handlers behind a local stand-in for API Gateway.

Nothing here is deployed, and the functions import nothing from here.
"""
