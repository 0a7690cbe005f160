"""The service on one machine: the real handlers behind a stand-in for API Gateway.

Nothing here is deployed, and the functions import nothing from here.
"""
