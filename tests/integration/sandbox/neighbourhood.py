"""A small network of its own, and a target in it: prints what the target reaches, as JSON.

One network namespace plays this host, another a server elsewhere; a veth joins them. Run by
root: ``python neighbourhood.py SOURCES STORE TREE``. Nothing is left when it ends.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HOST, ELSEWHERE = "10.9.8.1", "10.9.8.2"
HOST6, ELSEWHERE6 = "fd00:9::1", "fd00:9::2"
LOOPBACK_PORT, HOST_PORT, ELSEWHERE_PORT = 8001, 8002, 8003
_PROBE = "exec 3<>/dev/tcp/{}/{} && head -c5 <&3"


def main() -> None:
    """Build the network, start the target, try everything, cut it, try again."""
    sys.path.insert(0, sys.argv[1])
    from gbuild.backends.userns.backend import UsernsBackend
    from gbuild.host.sandbox import kernel
    from gbuild.host.store import Store
    from gbuild.image.copies import GivenTree
    from gbuild.model.event import discard
    from gbuild.target.shell import Target

    kernel.unshare(kernel.CLONE_NEWNET)
    kernel.raise_loopback()
    neighbour = _elsewhere(kernel)
    _serve("127.0.0.1", LOOPBACK_PORT)
    _serve("::1", LOOPBACK_PORT)
    _serve(HOST, HOST_PORT)
    _serve("::", HOST_PORT)
    backend = UsernsBackend(
        store=Store(Path(sys.argv[2])),
        environment=os.environ,
        sink=discard,
        trees=GivenTree(Path(sys.argv[3])),
    )
    spec = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the test itself
    found: dict[str, object] = {}
    with backend.start(spec) as machine, Target(machine, sink=discard) as target:

        def reaches(address: str, port: int) -> bool:
            command = ["timeout", "5", "bash", "-c", _PROBE.format(address, port)]
            return target.run(command, user="debian", timeout=60).stdout == b"hello"

        found["loopback"] = reaches("127.0.0.1", LOOPBACK_PORT)
        found["host"] = reaches(HOST, HOST_PORT)
        found["host by gateway"] = reaches(ELSEWHERE, LOOPBACK_PORT)
        found["loopback 6"] = reaches("::1", LOOPBACK_PORT)
        found["host 6"] = reaches(HOST6, HOST_PORT)
        found["host by gateway 6"] = reaches(ELSEWHERE6, LOOPBACK_PORT)
        found["loopback by link-local"] = reaches(f"{_link_local()}%near", LOOPBACK_PORT)
        found["elsewhere"] = reaches(ELSEWHERE, ELSEWHERE_PORT)
        found["elsewhere 6"] = reaches(ELSEWHERE6, ELSEWHERE_PORT)
        machine.cut_network()
        found["elsewhere after the cut"] = reaches(ELSEWHERE, ELSEWHERE_PORT)
        seen = target.run(["cat", "/proc/net/dev"], user="debian").stdout.decode()
        found["interfaces"] = [line.split(":")[0].strip() for line in seen.splitlines()[2:]]
        machine.cut_network()
    neighbour.kill()
    neighbour.wait()
    json.dump(found, sys.stdout)


def _elsewhere(kernel: object) -> subprocess.Popen[bytes]:
    """Start the neighbour's server and join it to us; we reach everything through it."""
    code = (
        f"import sys; sys.path.insert(0, {sys.argv[1]!r});"
        "from gbuild.host.sandbox import kernel; kernel.unshare(kernel.CLONE_NEWNET);"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "import neighbourhood; neighbourhood.answer_elsewhere()"
    )
    assert kernel
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    inside = ["nsenter", "-t", str(process.pid), "-n", "ip"]
    for words in (
        ["ip", "link", "add", "near", "type", "veth", "peer", "far", "netns", str(process.pid)],
        ["ip", "addr", "add", f"{HOST}/24", "dev", "near"],
        [*inside, "addr", "add", f"{ELSEWHERE}/24", "dev", "far"],
        ["ip", "addr", "add", f"{HOST6}/64", "dev", "near", "nodad"],
        [*inside, "addr", "add", f"{ELSEWHERE6}/64", "dev", "far", "nodad"],
        ["ip", "link", "set", "near", "up"],
        [*inside, "link", "set", "far", "up"],
        ["ip", "route", "add", "default", "via", ELSEWHERE],
        ["ip", "-6", "route", "add", "default", "via", ELSEWHERE6],
    ):
        subprocess.run(words, check=True)
    return process


def _link_local() -> str:
    """Return the address that this side of the veth gave itself."""
    words = ["ip", "-j", "-6", "addr", "show", "dev", "near", "scope", "link"]
    shown = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout
    entries = [entry for link in json.loads(shown) for entry in link.get("addr_info", ())]
    return next(str(entry["local"]) for entry in entries if "local" in entry)


def answer_elsewhere() -> None:
    """Be the neighbour: serve on every address."""
    from gbuild.host.sandbox import kernel

    kernel.raise_loopback()
    _serve("0.0.0.0", ELSEWHERE_PORT)  # noqa: S104 - of a namespace that nobody else is in
    _serve("::", ELSEWHERE_PORT)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    time.sleep(600)


def _serve(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.create_server((address, port), family=family)
    threading.Thread(target=_greet, args=(server,), daemon=True).start()


def _greet(server: socket.socket) -> None:
    while True:
        guest, _ = server.accept()
        guest.sendall(b"hello")
        guest.close()


if __name__ == "__main__":
    main()
