"""What a target has beyond its image: build user, names, throw-away SSH keys, an SSH server.

The same on every backend, or one descriptor would not give the same bytes on all of them. userns
writes these files from the host. The others run :data:`SETUP` in the new target as root, with
:func:`archive` on its standard input, or put the same archive where the target's init finds it.
"""

from __future__ import annotations

import io
import shlex
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gbuild.host.sandbox.layout import Account, File, account_lines, naming
from gbuild.model.surroundings import BUILD_USER
from gbuild.target.backend import TargetSpec

_FOLDER = "/run/gbuild"

DAEMON = ("/usr/sbin/sshd", "-i", "-e", "-f", f"{_FOLDER}/sshd_config")
"""Serves one connection on its standard input and output."""

LISTENER = ("/usr/sbin/sshd", "-D", "-e", "-f", f"{_FOLDER}/sshd_config")
"""Serves every connection to port 22, until it is killed."""

SETUP = (
    "/bin/sh",
    "-c",
    (
        "set -e; umask 022; cd /; mkdir -p run/gbuild run/sshd run/lock; chmod 1777 run/lock;"
        f" tar -x -p --same-owner --unlink-first -f -; exec /bin/sh {_FOLDER}/setup"
    ),
)
"""Makes a new target complete; reads :func:`archive` from its standard input."""

_CONFIGURATION = f"""\
HostKey {_FOLDER}/host_key
AuthorizedKeysFile {_FOLDER}/authorized_keys
AllowUsers root {{user}}
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
MaxAuthTries 3
MaxSessions 100
LoginGraceTime 600
DisableForwarding yes
PermitTunnel no
PermitUserEnvironment no
PermitUserRC no
PrintMotd no
PrintLastLog no
UseDNS no
Compression no
Ciphers aes128-gcm@openssh.com
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
HostKeyAlgorithms ssh-ed25519
LogLevel ERROR
PidFile none
"""


@dataclass(frozen=True, slots=True)
class Key:
    """An Ed25519 key: the private part as OpenSSH PEM text, the public as ``ssh-ed25519 AAAA``."""

    private: str
    public: str


def new_key() -> Key:
    """Make a key."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return Key(private.decode(), public.decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One target from the inside.

    ``host`` and ``client`` are its keys: the server shows the one and lets in the holder of the
    other, as root and as ``user``. ``resolver`` is the text of /etc/resolv.conf.
    """

    user: str
    host: Key
    client: Key
    hostname: str = "gitian"
    sudo: bool = False
    resolver: str = ""
    number: int = BUILD_USER
    home: str | None = None

    @classmethod
    def of(cls, spec: TargetSpec, *, resolver: str = "") -> Self:
        """Return the inside that a target is asked to have, with keys that nobody had before."""
        return cls(
            user=spec.user,
            host=new_key(),
            client=new_key(),
            hostname=spec.hostname,
            sudo=spec.sudo,
            resolver=resolver,
            number=spec.number,
            home=spec.home,
        )

    @property
    def account(self) -> Account:
        """The build user."""
        return Account(name=self.user, number=self.number, home=self.home or f"/home/{self.user}")

    def files(self) -> tuple[File, ...]:
        """Return the server's files and, if asked for, the rule of sudo."""
        configuration = _CONFIGURATION.format(user=self.user)
        rule = f"{self.user} ALL=(ALL:ALL) NOPASSWD: ALL\n"
        return (
            File(path=f"{_FOLDER}/host_key", data=self.host.private.encode(), mode=0o600),
            File(path=f"{_FOLDER}/authorized_keys", data=f"{self.client.public}\n".encode()),
            File(path=f"{_FOLDER}/sshd_config", data=configuration.encode()),
            *(
                (File(path="/etc/sudoers.d/gbuild", data=rule.encode(), mode=0o440),)
                if self.sudo
                else ()
            ),
        )


def archive(guest: Guest) -> bytes:
    """Return a tar archive of everything :data:`SETUP` needs, relative to the root folder."""
    import tarfile  # only the backends that cannot write the files themselves need it

    setup = File(path=f"{_FOLDER}/setup", data=_setup(guest.account).encode(), mode=0o700)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for file in (*naming(guest.hostname, guest.resolver), *guest.files(), setup):
            member = tarfile.TarInfo(file.path.lstrip("/"))
            member.size, member.mode = len(file.data), file.mode
            member.uid = member.gid = file.owner
            tar.addfile(member, io.BytesIO(file.data))
    return out.getvalue()


def _setup(account: Account) -> str:
    """Return the script that adds the account unless the image has it, and its home."""
    lines = ["set -e"]
    for path, line in account_lines(account):
        known = shlex.quote(f"^{account.name}:")
        lines.append(f"grep -q {known} {path} || printf '%s\\n' {shlex.quote(line)} >> {path}")
    home = shlex.quote(account.home)
    lines.append(f"mkdir -p {home}; chown {account.number}:{account.number} {home}")
    return "\n".join(lines) + "\n"
