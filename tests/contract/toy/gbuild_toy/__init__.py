"""A backend in a package of its own: ``gbuild --backend toy``."""

from gbuild_toy.backend import ToyBackend

BACKEND = ToyBackend

__all__ = ["BACKEND", "ToyBackend"]
