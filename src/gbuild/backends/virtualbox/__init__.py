"""Targets as virtual machines of VirtualBox, made by a person as Gitian wanted them."""

from gbuild.backends.virtualbox.backend import VirtualBoxBackend

BACKEND = VirtualBoxBackend

__all__ = ["BACKEND", "VirtualBoxBackend"]
