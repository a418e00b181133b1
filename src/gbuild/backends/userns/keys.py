"""Throw-away SSH keys and the server's configuration, new for every target."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gbuild.host.sandbox.layout import File

_FOLDER = "/run/gbuild"

DAEMON = ("/usr/sbin/sshd", "-i", "-e", "-f", f"{_FOLDER}/sshd_config")
"""Serves one connection on its standard input and output."""

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
LoginGraceTime 60
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


def server_files(user: str, host: Key, client: Key) -> tuple[File, ...]:
    """Return the files that make :data:`DAEMON` let in the holder of ``client`` and nobody else."""
    return (
        File(path=f"{_FOLDER}/host_key", data=host.private.encode(), mode=0o600),
        File(path=f"{_FOLDER}/authorized_keys", data=f"{client.public}\n".encode()),
        File(path=f"{_FOLDER}/sshd_config", data=_CONFIGURATION.format(user=user).encode()),
    )
