"""Where the files of a release lie: folders of this host, and addresses on the web."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from gbuild.errors import UsageFailure

if TYPE_CHECKING:
    from gbuild.host.zipped import Zipped

_SAFE = "/-._~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A folder, an address ``url`` that ends with a slash, or an open ZIP; the others are None."""

    folder: Path | None = None
    url: str | None = None
    zipped: Zipped | None = None

    def addresses(self, path: str) -> tuple[str, ...]:
        """Return where a file may lie: by its path, and by its name alone where files lie flat."""
        spellings = dict.fromkeys((path, path.rpartition("/")[2]))
        return tuple(f"{self.url}{quote(each, safe=_SAFE)}" for each in spellings)


def source(text: str) -> Source:
    """Read what a person gave as the place of the files.

    Raises:
        UsageFailure: it is no folder and no address of one.
    """
    if text.startswith(("http://", "https://")):
        parts = urlsplit(text)
        if not parts.hostname or parts.query or parts.fragment or not text.isprintable():
            raise UsageFailure(
                f"not the address of a folder: {text!r}",
                hint="https://HOST/PATH/ without ? and #; the paths of the files are put behind it",
            )
        return Source(url=text if text.endswith("/") else f"{text}/")
    if "://" in text and not text.startswith("file://"):
        raise UsageFailure(
            f"{text.partition(':')[0]}: is not fetched from",
            hint="a folder, or http:// or https://",
        )
    folder = (
        Path(unquote(text.removeprefix("file://"))) if text.startswith("file://") else Path(text)
    )
    if not folder.is_dir():
        raise UsageFailure(f"there is no folder {folder}", hint="a folder, or an address")
    return Source(folder=folder.absolute())
