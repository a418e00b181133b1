"""A trusted program of ours as mapped root: standard library and :mod:`gbuild.host.sandbox` only.

The program is a Python file with ``main(argv: list[str]) -> int``. It is loaded before the change
of user, so that it may lie below a folder that is closed to the mapped root; so must be what it
imports: at its top, not later.
"""

from __future__ import annotations

import os
import sys

from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.steps import Setup

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from types import ModuleType
    from typing import NoReturn

    Entry = Callable[[list[str]], int]


def load(path: str) -> Entry:
    """Load the file and return its ``main``."""
    entry: Entry = module_of(path).main
    return entry


def module_of(path: str) -> ModuleType:
    """Load the file as a module."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("gbuild_trusted_program", path)
    if spec is None or spec.loader is None:
        raise OSError(f"not a Python file: {path}")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(
    entry: Entry, argv: list[str], setup: Setup, folders: list[str], control: _socket.socket
) -> NoReturn:
    """Be pid 1 of the program's namespaces: open the way to its folders, then call it."""
    control.close()
    kernel.default_signals()
    setup.perform([("private",)])
    for number, folder in enumerate(folders):
        _open_the_way(setup, f"folder{number}", folder)
    status = 70
    try:
        status = entry(argv)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _open_the_way(setup: Setup, name: str, folder: str) -> None:
    """Make ``folder`` reachable under its own path when a folder above it is closed to us.

    The closed folder is covered, in this mount namespace, by an empty one in which only the
    way to ``folder`` exists; ``name`` is a descriptor of ``folder`` from before.
    """
    above = [folder[:at] for at, letter in enumerate(folder) if letter == "/" and at]
    closed = next((p for p in above if os.path.isdir(p) and not os.access(p, os.X_OK)), None)
    if closed is not None:
        flags = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("gbuild", closed, "tmpfs", flags, "mode=755,size=64k")
    if not os.path.isdir(folder):
        os.makedirs(folder)
        setup.perform([("bind", f"@{name}", folder, 0)])
