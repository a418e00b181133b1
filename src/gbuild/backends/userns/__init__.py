"""The default backend: targets in user namespaces."""

from gbuild.backends.userns.backend import UsernsBackend

__all__ = ["UsernsBackend"]
