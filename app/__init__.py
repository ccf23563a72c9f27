"""The inference service: predictions over HTTP, always at a known and tested model revision."""
