"""The default backend: targets in user namespaces."""

from gbuild.backends.userns.backend import UsernsBackend

BACKEND = UsernsBackend

__all__ = ["BACKEND", "UsernsBackend"]
