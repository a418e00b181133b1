"""How this host reaches the web: patience, proxies, and what can go wrong.

The person's ``http_proxy``, ``https_proxy`` and ``no_proxy`` count only when ``GBUILD_PROXY`` or
``network.proxy`` of the configuration is the word ``environment``; either may instead name one
proxy for everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gbuild.errors import UsageFailure
from gbuild.host import config

_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How patient a download is, and through what it goes.

    Whenever ``patience`` seconds of waiting brought fewer than ``floor`` bytes, the connection is
    given up. ``largest`` (bytes) caps what has no known size. ``proxies`` maps a scheme to a
    proxy's URL; hosts ending in one of ``direct`` are reached without it. Every address is tried
    ``rounds`` times; round n starts after about ``delay`` x 2**n seconds. With ``same_scheme`` no
    redirect from https to http is followed, nor one from http to https.
    """

    connect: float = 20.0
    patience: float = 60.0
    floor: int = 64 << 10
    largest: int = 16 << 30
    redirects: int = 8
    same_scheme: bool = False
    rounds: int = 4
    delay: float = 0.5
    proxies: Mapping[str, str] = field(default_factory=dict)
    direct: tuple[str, ...] = ()

    def is_direct(self, host: str) -> bool:
        """Say whether a host is reached without a proxy."""
        return any(host == one or host.endswith("." + one) for one in self.direct)


class Refused(Exception):
    """This address will not give the bytes; another one may."""


class Broken(Exception):
    """This attempt failed; the same address may work later (``wait``: seconds it asked for)."""

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = min(wait, _LONGEST_WAIT)


class Stopped(Exception):
    """The caller set the stop flag."""


def settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that the person's environment and configuration ask for.

    Raises:
        UsageFailure: the proxy is not an ``http://`` URL.
    """
    proxy = environment.get("GBUILD_PROXY") or config.load(environment).proxy
    if proxy is None:
        return Settings()
    if proxy != "environment":
        return Settings(proxies={"http": _proxy(proxy), "https": _proxy(proxy)})
    named = {s: environment.get(f"{s}_proxy") for s in ("http", "https")}
    direct = environment.get("no_proxy", "").replace(",", " ").split()
    return Settings(
        proxies={scheme: _proxy(url) for scheme, url in named.items() if url},
        direct=tuple(host.lstrip(".").lower() for host in direct),
    )


def _proxy(url: str) -> str:
    if urlsplit(url).scheme != "http" or not urlsplit(url).hostname:
        raise UsageFailure(
            f"not a proxy that can be used: {shown(url)}", hint="give http://HOST:PORT"
        )
    return url


def shown(url: str) -> str:
    """Return a URL fit for a message: without user and password."""
    head, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return head + separator + host.rpartition("@")[2] + slash + path


def host_of(url: str) -> str:
    """Return what stands between ``://`` and the path, of any text."""
    return url.partition("://")[2].partition("/")[0]
