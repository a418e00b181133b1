"""Fetching a release: enough persons agree on every file first, then all of it is put in place."""
