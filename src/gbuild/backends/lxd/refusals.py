"""What LXD and Incus say when they refuse, and what helps."""

from __future__ import annotations

AWAY = ("missing event connection with target cluster member", "unable to connect to:")
"""What a member says of another one that is out of reach."""

MEMBERS = "lxc cluster list; choose another member: --backend-option target=MEMBER"
"""What to do about a member of a cluster that is out of reach."""

_HINTS = (
    ("no space left", "free space in the storage pool, or choose another: --backend-option pool="),
    ("disk quota exceeded", "free space in the storage pool, or give the target more (--disk)"),
    ("not enough space", "free space in the storage pool, or choose another pool"),
    ("lowlevel", "the project must allow it: restricted.containers.lowlevel=allow"),
    ("restricted", "the project's restrictions forbid it: lxc project show"),
    ("is offline", MEMBERS),
    ("appear to be offline", "lxc cluster list"),
    *((words, MEMBERS) for words in AWAY),
    ("no cluster member called", "lxc cluster list"),
    ("cluster member not found", "lxc cluster list"),
    ("image not found", "run the same command again: the image is imported anew"),
    ("storage pool not found", "lxc storage list; --backend-option pool=NAME"),
    ("network not found", "lxc network list; --backend-option network=NAME"),
    ("profile not found", "lxc profile list; --backend-option profile=NAME"),
    ("project not found", "lxc project list; --backend-option project=NAME"),
    ("not supported on this server", "use another member of the cluster, or another server"),
    ("architecture", "use a server of the image's architecture: --backend-option endpoint=..."),
    ("user isn't allowed", "lxc config trust list: the certificate may be restricted"),
)


def hint_for(said: str, flavour: str = "lxd") -> str | None:
    """Return what a person can do about a refusal, if it is a known one."""
    low = said.lower()
    found = next((hint for text, hint in _HINTS if text in low), None)
    return None if found is None else spoken(found, flavour)


def spoken(hint: str, flavour: str) -> str:
    """Return a hint with the commands of the server's own client: LXD's become Incus's."""
    if flavour != "incus":
        return hint
    return hint.replace("sudo lxd ", "sudo incus admin ").replace("lxc ", "incus ")
