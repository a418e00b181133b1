"""Hostile archives given to the normalisers of a target: one clear error each, nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Project

_SCRIPT = r"""set -u
refused() {
  before=$(sha256sum < "$2")
  if said=$("canon-$1" "$2" 2>&1); then exit 9; fi
  test "$before" = "$(sha256sum < "$2")"
  printf '%.150s\n' "$said" >> "$OUTDIR/said"
}
truncate -s 200M zeros; tar -cf bomb.tar.gz --use-compress-program 'gzip -1' zeros; rm zeros
refused tar bomb.tar.gz
head -c 5000 /dev/urandom > data
tar -cf cut.tar data; truncate -s 3000 cut.tar; refused tar cut.tar
tar -cPf up.tar --transform 's,^,../,' data; refused tar up.tar
mkdir many; touch many/{1..2000}
tar -cf long.tar --transform "s,^,$(printf 'd/%.0s' {1..3000})," many/*; refused tar long.tar
ln -s /etc link; tar -cf through.tar link
rm link; mkdir link; touch link/x; tar -rf through.tar link/x; refused tar through.tar
printf '!<arch>\n%-16s%-12s%-6s%-6s%-8s%-10s`\n' x 0 0 0 644 9999999999 > huge.a
refused ar huge.a
gzip -c data > cut.gz; truncate -s 3000 cut.gz; refused gzip cut.gz
gzip -k data; ln -s data.gz link.gz; refused gzip link.gz
test -z "$(find /tmp . -name '*canon.*')"
canon-gzip data.gz; gzip -dc data.gz | cmp - data
"""
_CUT_OFF = "its members cannot be unpacked here: tar:"
_SAID = (
    ("tar", f"{_CUT_OFF} zeros: ", ""),
    ("tar", "not a whole tar file", ""),
    ("tar", "a member would lie outside the folder it is unpacked in", ""),
    ("tar", f"{_CUT_OFF} d/d/d/d/", ""),
    ("tar", _CUT_OFF, "link/x: Cannot open"),
    ("ar", "the archive is cut off", ""),
    ("gzip", "not a whole gzip file", ""),
    ("gzip", "link.gz is a symbolic link", ""),
)


def test_hostile_archives_in_a_target(project: Project) -> None:
    """A bomb, cut files, names that lead out or are too long, links, sizes that are lies."""
    path = project.describe(_SCRIPT, more="normalise: true\n")
    project.gbuild("--disk", "150", path)
    said = (project.root / "build/bookworm-amd64/out/said").read_text().splitlines()
    for line, (program, begin, word) in zip(said, _SAID, strict=True):
        assert line.startswith(f"canon-{program}: {begin}")
        assert word in line
