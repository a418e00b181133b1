"""The grammar of every name that reaches a path, a command line or a document.

Readers of documents ask a :class:`Grammar`; each function returns its argument or raises
:class:`~gbuild.errors.NameInvalid`. A name that passed cannot be taken for an option (no leading
dash), a parent folder, a second word or a control sequence. Two names that differ only in case
are both valid.

Sources: Debian Policy 5.6.1 (package names) and 11.1 (architectures), git-check-ref-format(1)
(revisions), Gitian's rule of letters, digits, ``_ . -`` for everything it put on a command line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gbuild.errors import NameInvalid

ARCHITECTURES = (
    "amd64",
    "arm64",
    "armel",
    "armhf",
    "i386",
    "ppc64el",
    "riscv64",
    "s390x",
)
"""Debian's words for the machines gbuild knows; Gitian's ``linux64`` stands for amd64."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """What one kind of name looks like: its regular expression and how to say it to a person."""

    what: str
    pattern: re.Pattern[str]
    expected: str
    longest: int = 128

    def refusal(self, text: str) -> str | None:
        """Say why ``text`` is not such a name, or return None when it is one."""
        if not text:
            return f"{self.what} is empty"
        if len(text) > self.longest:
            return f"{self.what} is longer than {self.longest} characters"
        if not self.pattern.fullmatch(text):
            return f"not a valid {self.what}: {shown(text)}"
        return None

    def check(self, text: str, where: str) -> str:
        """Return ``text`` when it follows this grammar.

        Raises:
            NameInvalid: it does not.
        """
        if reason := self.refusal(text):
            raise NameInvalid(
                f"{where}: {reason}" if where else reason, details=(f"expected {self.expected}",)
            )
        return text


def shown(text: str) -> str:
    """Quote a refused name for an error: printable ASCII, cut to a sensible length."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")


def _grammar(what: str, pattern: str, expected: str, longest: int = 128) -> Grammar:
    return Grammar(what, re.compile(pattern, re.ASCII), expected, longest)


PACKAGE = _grammar(
    "package name",
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9][a-z0-9-]*)?",
    "two or more of a-z 0-9 + - . (not ending in a dash), perhaps with :architecture",
)
SUITE = _grammar(
    "suite name",
    r"[a-z0-9]+([.-][a-z0-9]+)*",
    "a suite such as bookworm or bookworm-backports: words of a-z 0-9 joined by - or .",
    64,
)
DISTRIBUTION = _grammar(
    "distribution name",
    r"[A-Za-z0-9]+([._/-][A-Za-z0-9]+)*",
    "a distribution such as bookworm-backports or buster/updates",
    64,
)
ARCHITECTURE = _grammar(
    "architecture name",
    r"[a-z0-9]+(-[a-z0-9]+)*",
    "an architecture such as amd64 or i386",
    32,
)
COMPONENT = _grammar(
    "component name",
    r"[A-Za-z0-9]+([._/-][A-Za-z0-9]+)*",
    "a component such as main or non-free-firmware",
    64,
)
DIRECTORY = _grammar(
    "directory name",
    r"[A-Za-z0-9_][A-Za-z0-9_.+-]*",
    "one folder name of A-Z a-z 0-9 _ . + - that starts with a letter, a digit or _",
)
FILE = _grammar(
    "file name",
    r"[A-Za-z0-9_][A-Za-z0-9_.+~@-]*",
    "one file name of A-Z a-z 0-9 _ . + ~ @ - that starts with a letter, a digit or _",
    200,
)
RELEASE = _grammar(
    "release name",
    r"[A-Za-z0-9_][A-Za-z0-9_.+~-]*",
    "a release such as 1.2-linux: A-Z a-z 0-9 _ . + ~ -, starting with a letter, a digit or _",
)
SIGNER = _grammar(
    "signer name",
    r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*",
    "a nickname, an e-mail address, a key id or a fingerprint, without spaces",
)
BUILD = _grammar(
    "build name",
    r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    "a name such as hello-linux: A-Z a-z 0-9 _ . -, starting with a letter, a digit or _",
    100,
)
TARGET = _grammar(
    "target name",
    r"[a-z0-9]+([._-][a-z0-9]+)*",
    "words of a-z 0-9 joined by - . or _",
    64,
)
REVISION = _grammar(
    "revision",
    r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|\Z)|@\{))[A-Za-z0-9_][A-Za-z0-9_./@+=,#%~^-]*(?<![/.])",
    "a branch, a tag or a hash: no space, no control character, no leading dash, no .. and no @{",
    255,
)

_NETWORK_URL = re.compile(
    r"(?:https?|git|ssh)://(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*"
    r"(?::[0-9]{1,5})?/[A-Za-z0-9_/.:+~%=,?&@-]*",
    re.ASCII,
)
_SCP_URL = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:"
    r"(?!:|-|//)[A-Za-z0-9_/.+~%=-]+",
    re.ASCII,
)
_LOCAL_URL = re.compile(r"(?:file://)?/[^\x00-\x1f\x7f-\x9f]*")

REMOTE_EXPECTED = "an address such as https://host/path.git, ssh://host/path or git@host:path"


def directory_name(text: str, *, where: str = "") -> str:
    """Check the single folder name of a remote."""
    return DIRECTORY.check(text, where)


def release_name(text: str, *, where: str = "") -> str:
    """Check a release's name; it becomes a folder under ``sigs/``."""
    return RELEASE.check(text, where)


def signer_name(text: str, *, where: str = "") -> str:
    """Check a signer (nickname, e-mail, key id, fingerprint); it becomes a folder's name."""
    return SIGNER.check(text, where)


def target_name(text: str, *, where: str = "") -> str:
    """Check the name of a running target."""
    return TARGET.check(text, where)


def revision(text: str, *, where: str = "") -> str:
    """Check a git revision: a branch, tag or hash that no option parser can misread."""
    return REVISION.check(text, where)


def remote_refusal(text: str, *, local: bool = False) -> str | None:
    """Say why ``text`` is no address of a git remote, or return None when it is one.

    ``local`` also allows an absolute path and ``file://``: only for what the person typed.
    """
    if len(text) > 2048:
        return "the address is longer than 2048 characters"
    if re.match(r"https?://[^/@]*:[^/@]*@", text):
        return "the address holds a password, which would end in the records of the build"
    if _NETWORK_URL.fullmatch(text) or _SCP_URL.fullmatch(text):
        return None
    if _LOCAL_URL.fullmatch(text):
        return None if local else f"a folder of this machine is given by --url: {shown(text)}"
    return f"not an address of a git repository: {shown(text)}"


def remote_url(text: str, *, where: str = "", local: bool = False) -> str:
    """Check a git remote's address: https, http, git, ssh and ``user@host:path``.

    ``local`` also allows an absolute path and ``file://``: only for what the person typed.
    Refused are transport helpers (``ext::``), passwords, options and control characters.
    """
    if reason := remote_refusal(text, local=local):
        raise NameInvalid(
            f"{where}: {reason}" if where else reason, details=(f"expected {REMOTE_EXPECTED}",)
        )
    return text
