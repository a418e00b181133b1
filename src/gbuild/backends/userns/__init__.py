"""The default backend: user namespaces, no daemon, no root."""
