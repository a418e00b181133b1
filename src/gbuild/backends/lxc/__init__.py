"""Containers by the liblxc tools, as root or as an ordinary user."""

from gbuild.backends.lxc.backend import LxcBackend

BACKEND = LxcBackend

__all__ = ["BACKEND", "LxcBackend"]
