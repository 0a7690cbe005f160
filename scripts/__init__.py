"""Programs around the API: they reach it over HTTP only and import nothing of the service."""
