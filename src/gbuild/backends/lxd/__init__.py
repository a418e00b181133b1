"""Targets as containers of LXD or Incus, on this host, another one or a cluster."""

from gbuild.backends.lxd.backend import LxdBackend

BACKEND = LxdBackend

__all__ = ["BACKEND", "LxdBackend"]
