"""Measurements of the service, each started by one command; nothing here is deployed."""
