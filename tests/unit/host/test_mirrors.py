"""Which archive an apt source carries, on hosts of many kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.errors import UsageFailure
from gbuild.host import config, mirrors

NOBODY: dict[str, str] = {}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "var/lib/apt/lists").mkdir(parents=True)
    return tmp_path


def one_line(host: Path, text: str, name: str = "sources.list") -> None:
    (host / "etc/apt" / name).write_text(text)


def deb822(host: Path, text: str, name: str = "debian.sources") -> None:
    (host / "etc/apt/sources.list.d" / name).write_text(text)


def release(host: Path, name: str, origin: str, label: str, *, kind: str = "InRelease") -> None:
    head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" if kind == "InRelease" else ""
    text = f"{head}Origin: {origin}\nLabel: {label}\nSuite: stable\n"
    (host / "var/lib/apt/lists" / f"{name}_{kind}").write_text(text)


def bases(host: Path, archive: str, environment: dict[str, str] | None = None) -> tuple[str, ...]:
    return mirrors.bases(archive, environment or NOBODY, root=host)


DEB822 = """\
# a comment
Types: deb deb-src
# another, inside a stanza
URIs: http://one.example/debian
  http://two.example/debian/
Suites: bookworm
 bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 URIs: http://not.example/debian
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://sec.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_deb822_sources_with_folded_fields(host: Path) -> None:
    deb822(host, DEB822)
    assert bases(host, "debian") == ("http://one.example/debian", "http://two.example/debian")
    assert bases(host, "debian-security") == ("https://sec.example/debian-security",)


def test_one_line_sources_with_options_and_comments(host: Path) -> None:
    one_line(
        host,
        "# deb http://off.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main # why\n"
        "deb-src\thttp://b.example/debian\tbookworm\tmain\n"
        "deb http://flat.example/debian ./\n"
        "rubbish\n",
    )
    assert bases(host, "debian") == ("http://a.example/debian", "http://b.example/debian")


def test_only_apts_own_file_names_are_read(host: Path) -> None:
    deb822(host, "Types: deb\nURIs: http://x.example/debian\nSuites: sid\n", "x.sources.bak")
    one_line(host, "deb http://y.example/debian sid main\n", "sources.list.d/y z.list")
    one_line(host, "deb http://z.example/debian sid main\n", "sources.list.d/z.list")
    assert bases(host, "debian") == ("http://z.example/debian",)


@pytest.mark.parametrize(
    ("line", "archive"),
    [
        ("deb http://m.example/debian/ bookworm main", "debian"),
        ("deb http://m.example/pub/debian sid main", "debian"),
        ("deb http://m.example/debian-security bookworm-security main", "debian-security"),
        ("deb http://m.example/debian-security stretch/updates main", "debian-security"),
        ("deb http://security.example/ bookworm-security main", "debian-security"),
        ("deb http://m.example/debian bookworm-security main", "debian-security"),
        ("deb http://m.example/ubuntu noble main", "ubuntu"),
        ("deb http://m.example/ubuntu noble-security main", "ubuntu"),
        ("deb http://m.example/ubuntu-ports noble main", "ubuntu-ports"),
        ("deb http://packages.example/ stable main", None),
        ("deb http://packages.example/node_20.x nodistro main", None),
    ],
)
def test_without_lists_the_address_and_the_suites_tell(
    host: Path, line: str, archive: str | None
) -> None:
    one_line(host, line + "\n")
    (source,) = mirrors.apt_sources(host)
    assert mirrors.archive_of(source, root=host) == archive


def test_what_the_archive_says_of_itself_wins(host: Path) -> None:
    one_line(
        host,
        "deb http://m.example/a_b bookworm main\n"
        "deb http://m.example/linux/debian bookworm stable\n"
        "deb http://me:pw@m.example:8080/x bookworm-security main\n"
        "deb http://m.example/u noble main\n"
        "deb http://m.example/ports/ubuntu-ports noble main\n",
    )
    release(host, "m.example_a%5fb_dists_bookworm", "Debian", "Debian")
    release(host, "m.example_linux_debian_dists_bookworm", "Docker", "Docker CE")
    release(host, "m.example:8080_x_dists_bookworm-security", "Debian", "Debian-Security")
    release(host, "m.example_u_dists_noble", "Ubuntu", "Ubuntu", kind="Release")
    release(host, "m.example_ports_ubuntu-ports_dists_noble", "Ubuntu", "Ubuntu")
    assert bases(host, "debian") == ("http://m.example/a_b",)
    assert bases(host, "debian-security") == ("http://me:pw@m.example:8080/x",)
    assert bases(host, "ubuntu") == ("http://m.example/u",)
    assert bases(host, "ubuntu-ports") == ("http://m.example/ports/ubuntu-ports",)


def test_apts_own_address_forms(host: Path) -> None:
    listed = host / "etc/apt/mirrors/debian.list"
    listed.parent.mkdir()
    listed.write_text("http://m1.example/debian\tpriority:1\n# no\nhttp://m2.example/debian/\n")
    one_line(
        host,
        "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main\n"
        "deb copy:/srv/debian bookworm main\n"
        "deb file:///srv/copy/debian/ bookworm main\n"
        "deb cdrom:[Debian]/ bookworm main\n"
        "deb tor+http://onion.example/debian bookworm main\n"
        "deb http://m.example/$(ARCH)/debian bookworm main\n",
    )
    assert bases(host, "debian") == (
        "http://m1.example/debian",
        "http://m2.example/debian",
        "file:///srv/debian",
        "file:///srv/copy/debian",
    )


def test_the_environment_comes_first_then_the_configuration(host: Path) -> None:
    one_line(host, "deb http://apt.example/debian bookworm main\n")
    folder = host / "home/.config/gbuild"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        '[mirrors]\ndebian = ["http://config.example/debian/", "http://env.example"]\n'
        'mine = "file:///srv/mine"\n'
    )
    environment = {
        "HOME": str(host / "home"),
        "GBUILD_MIRROR_DEBIAN": "http://env.example file:///srv/x/",
        "GBUILD_MIRROR_DEBIAN_SECURITY": "http://sec.example",
    }
    assert bases(host, "debian", environment) == (
        "http://env.example",
        "file:///srv/x",
        "http://config.example/debian",
        "http://apt.example/debian",
    )
    assert bases(host, "debian-security", environment) == ("http://sec.example",)
    assert bases(host, "mine", environment) == ("file:///srv/mine",)


def test_apts_files_can_be_looked_for_elsewhere_or_nowhere(host: Path, tmp_path: Path) -> None:
    one_line(host, "deb http://apt.example/debian bookworm main\n")
    there = {"GBUILD_APT_ROOT": str(host)}
    assert mirrors.bases("debian", there) == ("http://apt.example/debian",)
    assert mirrors.bases("debian", {"GBUILD_APT_ROOT": str(tmp_path / "none")}) == ()


def test_snapshot_services_are_asked_by_archive_and_second() -> None:
    moment = 1_700_000_000
    at = "20231114T221320Z"
    assert mirrors.snapshot_bases("debian-security", moment, NOBODY) == (
        f"https://snapshot.debian.org/archive/debian-security/{at}",
    )
    assert mirrors.snapshot_bases("ubuntu", moment, NOBODY) == (
        f"https://snapshot.ubuntu.com/ubuntu/{at}",
    )
    mine = {"GBUILD_SNAPSHOT_DEBIAN": "http://127.0.0.1:1/archive/"}
    assert mirrors.snapshot_bases("debian", moment, mine) == (
        f"http://127.0.0.1:1/archive/debian/{at}",
    )
    assert mirrors.snapshot_bases("mine", moment, NOBODY) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mirrors = 3", "mirrors"),
        ("[mirrors]\ndebian = [1]", "mirrors.debian must be a list"),
        ("[snapshots]\ndebian = []", "snapshots.debian must be text"),
        ("[network]\nproxi = 'x'", "unknown key: network.proxi"),
        ("[mirors]", "unknown table or key: mirors"),
        ("[mirrors", "Expected"),
    ],
)
def test_a_wrong_configuration_is_told(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "gbuild").mkdir()
    (tmp_path / "gbuild/config.toml").write_text(text)
    with pytest.raises(UsageFailure) as caught:
        config.load({"XDG_CONFIG_HOME": str(tmp_path)})
    assert says in " ".join(caught.value.details)
    assert str(tmp_path) in caught.value.brief


def test_a_person_without_home_or_file_has_no_configuration(tmp_path: Path) -> None:
    assert config.load(NOBODY) == config.load({"HOME": str(tmp_path)}) == config.Config()
