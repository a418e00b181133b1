"""Targets in containers of podman or docker."""

from gbuild.backends.oci.backend import OciBackend

BACKEND = OciBackend

__all__ = ["BACKEND", "OciBackend"]
