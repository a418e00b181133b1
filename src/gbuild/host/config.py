"""The person's configuration: one small TOML file, and the environment above it.

``$XDG_CONFIG_HOME/gbuild/config.toml`` (else ``~/.config/gbuild/config.toml``), all optional::

    [mirrors]                       # tried before the host's apt sources
    debian = ["https://mirror.example/debian"]

    [snapshots]                     # where the snapshot services answer
    debian = "https://snapshot.example/archive"

    [network]
    proxy = "http://proxy.example:3128"     # or "environment" for http_proxy, https_proxy, no_proxy

    [backends.lxd]                  # options of a backend, as --backend-option takes them
    remote = "https://lxd.example:8443"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gbuild.errors import UsageFailure

_TABLES = ("mirrors", "snapshots", "network", "backends")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the configuration file says.

    Archive names are keys of ``mirrors``, names of backends those of ``backends``, whose values
    are the backend's options.
    """

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    snapshots: Mapping[str, str] = field(default_factory=dict)
    proxy: str | None = None
    backends: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def path_of(environment: Mapping[str, str]) -> Path | None:
    """Return where the configuration file would lie (None: the person has no home)."""
    if base := environment.get("XDG_CONFIG_HOME"):
        return Path(base) / "gbuild/config.toml"
    home = environment.get("HOME")
    return Path(home) / ".config/gbuild/config.toml" if home else None


def load(environment: Mapping[str, str]) -> Config:
    """Read the configuration file; absent means empty.

    Raises:
        UsageFailure: it is not TOML, or holds something of the wrong type or unknown.
    """
    path = path_of(environment)
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return Config()
    except UnicodeDecodeError as error:
        raise UsageFailure(f"{path} is not UTF-8 text") from error
    return _read(text, path)


def _read(text: str, path: Path) -> Config:
    import tomllib  # costs 3 ms and most people have no configuration

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageFailure(f"{path} is not TOML", details=(str(error),)) from error
    problems = [f"unknown table or key: {name}" for name in content if name not in _TABLES]
    config = Config(
        mirrors={k: _texts(v, f"mirrors.{k}", problems) for k, v in _table(content, "mirrors")},
        snapshots={
            k: _text(v, f"snapshots.{k}", problems) for k, v in _table(content, "snapshots")
        },
        proxy=_network(content, problems),
        backends={
            k: _options(v, f"backends.{k}", problems) for k, v in _table(content, "backends")
        },
    )
    if problems:
        raise UsageFailure(f"{path} is not a configuration of gbuild", details=tuple(problems))
    return config


def _network(content: Mapping[str, object], problems: list[str]) -> str | None:
    values = dict(_table(content, "network"))
    problems += [f"unknown key: network.{name}" for name in values if name != "proxy"]
    return _text(values["proxy"], "network.proxy", problems) if "proxy" in values else None


def _table(content: Mapping[str, object], name: str) -> list[tuple[str, object]]:
    table = content.get(name, {})
    return list(table.items()) if isinstance(table, dict) else [(f"({name} is no table)", table)]


def _options(value: object, where: str, problems: list[str]) -> Mapping[str, str]:
    """Read one backend's options: TOML's text, numbers and booleans, all as text."""
    if not isinstance(value, dict):
        problems.append(f"{where} must be a table")
        return {}
    return {key: _option(given, f"{where}.{key}", problems) for key, given in value.items()}


def _option(value: object, where: str, problems: list[str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else _text(value, where, problems)


def _text(value: object, where: str, problems: list[str]) -> str:
    if isinstance(value, str) and value:
        return value
    problems.append(f"{where} must be text")
    return ""


def _texts(value: object, where: str, problems: list[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
        return tuple(value)
    problems.append(f"{where} must be a list of addresses")
    return ()
