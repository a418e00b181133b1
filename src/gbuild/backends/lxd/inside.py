"""What runs in an instance before anybody logs in: its first process, and its set-up."""

from __future__ import annotations

from typing import Literal

from gbuild.errors import BackendFailure
from gbuild.image.unified import SAMPLE, Unified
from gbuild.target.guest import DAEMON, SETUP

Check = Literal["sample", "list", "full"]
"""What is read again of the image's tree: :data:`SAMPLE` with every byte of it; names, owners,
modes, sizes and times of all; all with every byte."""

_INIT = (
    "trap 'exit 0' TERM; "
    "echo 0x1 > /sys/class/net/lo/flags; "
    "exec 0</dev/null 1>&0 2>&0 3<> <(:); "
    "while :; do read -r -u 3 _; done"
)
"""Brings the loopback up, then sleeps on a pipe that is never written to. bash collects every
orphan meanwhile, and ends at SIGTERM; with it ends the container."""

FOLDERS_LEFT_OUT = ("dev", "home", "proc", "run", "sys", "tmp")
"""What a container covers with other file systems before anything can be read."""

_PRUNE = " -o ".join(f"-path ./{name} -prune" for name in FOLDERS_LEFT_OUT)
_LIST = (
    f"find . -mindepth 1 -xdev {_PRUNE} -o -type f -printf 'f %m %U %G %s %Ts %P\\0'"
    " -o -type l -printf 'l %U %G %l %P\\0' -o -printf '%y %m %U %G %P\\0'"
)
_CONTENTS = f"find . -mindepth 1 -xdev {_PRUNE} -o -type f -exec sha256sum -z -- {{}} +"

_STAY = "exec 3<&0; setsid sh -c 'read -r _; kill -TERM 1' <&3 3<&- >/dev/null 2>&1 &"
"""Leaves a process behind that ends the container when the input ends. The set-up cannot do it: the
server kills it when its caller is gone. A job of sh has the input by another number only."""

_SETUP = (
    "set -eu; cd /; export LC_ALL=C; "
    f'tree() {{ if [ "$1" = sample ]; then cd {SAMPLE}; fi; '
    f'{_LIST}; if [ "$1" != list ]; then {_CONTENTS}; fi; }}; '
    'echo "tree $(tree "$1" | sort -z | sha256sum)"; '
    'if [ "$2" -gt 0 ]; then head -c "$2" | /bin/sh -c "$3" >&2; fi; '
    f'if [ "$4" = stay ]; then {_STAY} fi; '
    'echo "files $(ulimit -H -n)"; cat /proc/net/dev; echo ready; wait'
)

READY = b"ready"
"""The line that ends what the set-up says."""


def first_process() -> str:
    """Return liblxc's ``lxc.init.cmd``: it knows no quotes and splits at blanks."""
    coded = "".join(c if c.isalnum() else f"\\\\0{ord(c):03o}" for c in _INIT)
    return f"/bin/bash -c eval${{IFS}}$(printf${{IFS}}%b${{IFS}}{coded})"


def server(open_files: int | None) -> tuple[str, ...]:
    """Return the command that serves one connection, with at most ``open_files`` if it can.

    The limit is set here because the server refuses to start a container with more than it may
    have itself.
    """
    files = str(open_files or "")
    script = 'ulimit -n "$1" 2>/dev/null || :; shift; exec "$@"'
    return ("/bin/sh", "-c", script, "sh", files, *DAEMON) if files else DAEMON


def setup(*, check: Check, archive: int, stay: bool) -> tuple[str, ...]:
    """Return the command that makes a new instance a target.

    It reads the tree of the image again, as much as ``check`` says, then
    :func:`gbuild.target.guest.archive` of ``archive`` bytes from its standard input. With ``stay``
    it remains, and a child of it ends the container when the input ends: that is when we end,
    however that happens.
    """
    words = (check, str(archive), SETUP[2], "stay" if stay else "go")
    return ("/bin/sh", "-c", _SETUP, "sh", *words)


def compare(name: str, image: Unified, check: Check, read: str) -> None:
    """Compare what the instance ``name`` read with what the image is.

    Raises:
        BackendFailure: it is something else.
    """
    expected = {"sample": image.sample, "list": image.listing, "full": image.tree}[check]
    if read != expected:
        raise BackendFailure(
            f"what {name} was made from is not the image that was imported",
            details=(f"expected {expected}", f"read     {read}"),
            hint="gbase prune --all --backend lxd, then build again",
        )
