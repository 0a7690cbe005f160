"""Settings, logging and the translation of gateway events; nothing here knows products."""
