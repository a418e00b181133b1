"""The storage pool of another host that holds what machines over there are made of.

It is a folder: one that its administrator has made under the pool's name, or one that libvirt makes
for us there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any
from xml.sax.saxutils import escape

from gbuild.backends.kvm.address import Address
from gbuild.backends.kvm.library import Connection, load
from gbuild.errors import HostFailure

USUAL = "gbuild"
_OF_SYSTEM = "/var/lib/libvirt"

Pool = Any
"""A ``libvirt.virStoragePool``."""


def find(connection: Connection, name: str, *, host: str) -> Pool | None:
    """Return the pool of that name, started, or None if there is none.

    Raises:
        HostFailure: libvirt over there has no storage, does not let us, or cannot start it.
    """
    libvirt = load()
    try:
        pool = connection.storagePoolLookupByName(name)
        if not pool.isActive():
            pool.create(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL:
            return None
        raise _refused(name, host, str(error), None) from error
    with suppress(libvirt.libvirtError):  # another process of ours may be making a volume
        pool.refresh(0)
    return pool


def found_or_made(connection: Connection, name: str, address: Address) -> Pool:
    """Return the pool of that name, made unless it is there.

    Raises:
        HostFailure: it could not be made; says what its administrator can do.
    """
    libvirt = load()
    if (pool := find(connection, name, host=address.host)) is not None:
        return pool
    folder = _folder(address)
    xml = (
        f'<pool type="dir"><name>{escape(name)}</name><target><path>{escape(str(folder / name))}'
        "</path><permissions><mode>0711</mode></permissions></target></pool>"
    )
    made = None
    try:
        made = connection.storagePoolDefineXML(xml, 0)
        made.build(0)
        made.setAutostart(1)
        made.create(0)
    except libvirt.libvirtError as error:
        if made is not None:
            with suppress(libvirt.libvirtError):
                made.undefine()
        raise _refused(name, address.host, str(error), folder / name) from error
    return made


def _folder(address: Address) -> PurePosixPath:
    """Return the folder below which a pool of ours is made.

    Raises:
        HostFailure: that host does not say where its person keeps data.
    """
    if address.system or address.ssh is None:
        return PurePosixPath(_OF_SYSTEM)
    said = PurePosixPath(address.ssh.look())
    if not said.is_absolute():
        text = f"{address.host} does not say where data are kept: {str(said)!r}"
        raise HostFailure(text, hint=_by_hand(USUAL, PurePosixPath("/DIRECTORY")))
    return said / "libvirt"


def _refused(name: str, host: str, said: str, folder: PurePosixPath | None) -> HostFailure:
    return HostFailure(
        f"libvirt of {host} gives no storage pool {name}",
        details=(said,),
        hint=_by_hand(name, folder or PurePosixPath(_OF_SYSTEM) / name),
    )


def _by_hand(name: str, folder: PurePosixPath) -> str:
    define = f"virsh pool-define-as {name} dir --target {folder}"
    return f"over there: {define} && virsh pool-build {name} && virsh pool-start {name}"
