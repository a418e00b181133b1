"""A person who has made a machine in VirtualBox, as Gitian's README asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gbuild.backends.virtualbox import ports
from gbuild.host.process import run

PROGRAM = Path(__file__).parent / "standin" / "VBoxManage"

_SSHD = """\
HostKey /etc/ssh/person_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
PidFile none
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Their VirtualBox below ``home``, and their key."""

    home: Path
    key: Path
    port: int = field(default_factory=lambda: ports.free(()))

    @property
    def environment(self) -> Mapping[str, str]:
        """Where their VirtualBox is."""
        return {"VBOX_USER_HOME": str(self.home), "HOME": str(self.home)}

    @property
    def options(self) -> Mapping[str, str]:
        """Which VBoxManage, and the key."""
        return {"program": str(PROGRAM), "key": str(self.key), "patience": "60"}

    def manage(self, *words: str) -> str:
        """Use VBoxManage by hand."""
        return run((PROGRAM, *words), env=self.environment).stdout.decode()

    def make(
        self,
        name: str,
        *,
        snapshot: str | None = "Gitian-Clean",
        port: int | None = None,
        inside: int = 22,
        server: bool = True,
        user: str = "root",
    ) -> None:
        """Install a machine and take its snapshot; ``port`` 0 is one that nobody has now."""
        own = ports.free(()) if port == 0 else port or self.port
        rule = f"guestssh,tcp,127.0.0.1,{own},,{inside}"
        settings = _SSHD if server else "no such setting\n"
        self.manage("standin", "install", name, rule, f"{self.key}.pub", settings, user)
        if snapshot:
            self.manage("snapshot", name, "take", snapshot)

    def shut_down(self) -> None:
        """Switch every machine off."""
        for line in self.manage("list", "runningvms").splitlines():
            self.manage("controlvm", line.split('"')[1], "poweroff")

    def state(self, name: str) -> str:
        """Return what VirtualBox says that a machine does."""
        info = self.manage("showvminfo", name, "--machinereadable")
        return info.partition('VMState="')[2].partition('"')[0]

    def disk(self, name: str, path: str) -> str:
        """Return what a machine has written to a file on its disk."""
        uuid = self.manage("showvminfo", name, "--machinereadable").partition('UUID="')[2][:36]
        return (self.home / "machines" / uuid / "disk" / "upper" / path).read_text()

    def labels(self, name: str) -> str:
        """Return what gbuild has noted at a machine."""
        return self.manage("getextradata", name, "gbuild/target").strip()


def new_person(folder: Path) -> Person:
    """Make a person with a key and no machine."""
    home, key = folder / "VirtualBox", folder / "id_rsa"
    home.mkdir()
    run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key))
    return Person(home, key)
