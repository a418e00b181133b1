"""Whatever stands in apt's files, reading them gives plain addresses and no crash."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gbuild.host import mirrors

word = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)
uri = st.sampled_from(
    ["http://m.example/debian/", "file:/srv/x", "copy:///y/", "cdrom:[x]/", "http://[::1", "ftp:x"]
)
one_line = st.builds("deb {} {} main".format, uri | word, word)
field = st.builds(
    "{}: {}".format, st.sampled_from(["URIs", "Suites", "Enabled", "Types"]), uri | word
)
text = st.lists(one_line | field | word | st.just(""), max_size=12).map("\n".join)


@given(listed=text, stanzas=text)
def test_any_text_gives_addresses_or_nothing(listed: str, stanzas: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "etc/apt/sources.list.d").mkdir(parents=True)
        (root / "etc/apt/sources.list").write_text(listed)
        (root / "etc/apt/sources.list.d/x.sources").write_text(stanzas)
        for source in mirrors.apt_sources(root):
            assert source.base.partition("://")[0] in {"http", "https", "file"}
            assert not source.base.endswith("/")
            assert source.suites
            assert mirrors.archive_of(source, root=root) in {None, *mirrors.ARCHIVES}
