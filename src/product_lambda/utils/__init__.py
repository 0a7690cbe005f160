"""Settings, logging, events and responses of API Gateway; nothing here knows products."""
