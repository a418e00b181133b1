"""Options that several commands have with one meaning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gbuild.cli._asked import is_glob

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def release_option(text: str, *, required: bool = False, globs: bool = False) -> Decorator:
    """Return ``--release``, whose value is a release's name, or with ``globs`` a pattern."""

    def check(_: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        from gbuild.model import names

        if value is not None and not (globs and is_glob(value)):
            names.release_name(value, where="--release")
        return value

    return click.option(
        "--release", "-r", metavar="NAME", required=required, callback=check, help=text
    )


class _NewFile(click.Path):
    """A file to be written: that its folder is missing is said before any work is done."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"there is no folder {path.parent} for {path.name}", param, ctx)
        return path


NEW_FILE: Final = _NewFile(dir_okay=False)
NEW_PATH: Final = _NewFile()
"""What may become a folder."""
