"""Virtual machines by libvirt."""

from gbuild.backends.kvm.backend import KvmBackend

BACKEND = KvmBackend

__all__ = ["BACKEND", "KvmBackend"]
