"""Make one file of a command that needs nothing of the build half: ``.zipapp.py COMMAND FILE``.

The same sources and the same lock give the same bytes, whoever makes it, where and when: names
are sorted, nothing is compressed (compressors differ), and times, modes and owners are fixed.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
SOURCES = CLONE / "src"
COMMANDS = ("gverify", "gget")
BUILD_HALF = ("app", "backends", "check", "engine", "image", "sign", "target")
"""Packages of gbuild that are left out; what imports them when it is loaded cannot be put in."""
LIBRARIES = {"click": "click", "PyYAML": "yaml", "python-gnupg": "gnupg"}
"""Pure Python, by distribution: the package or module that is taken."""
DATA = {".css", ".js", ".typed"}
"""Suffixes of what is taken beside modules: a folder may hold copies that an editor or git left."""
SHEBANG = b"#!/usr/bin/env -S python3 -I\n"
MAIN = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("{command} needs Python 3.11 or newer, this is " + sys.version.split()[0])

from gbuild.cli.{command} import main

main()
"""
DATE = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Write the file that the command line names."""
    command, target = sys.argv[1], Path(sys.argv[2])
    files = {
        "__main__.py": MAIN.format(command=command).encode(),
        "licenses/gbuild.txt": (CLONE / "LICENSE").read_bytes(),
        **{path: (SOURCES / path).read_bytes() for path in modules(f"gbuild.cli.{command}")},
    }
    for name, package in LIBRARIES.items():
        files.update(library(distribution(name), package))
    write(target, files)
    data = target.read_bytes()
    print(f"{hashlib.sha256(data).hexdigest()}  {target}")  # noqa: T201


def modules(start: str) -> Iterator[str]:
    """Yield the path of every module of ours that is reached, wherever it is imported."""
    waiting, seen = [start], set()
    while waiting:
        name = waiting.pop()
        if name in seen or is_build_half(name):
            continue
        seen.add(name)
        path = source(name)
        if path is None:
            continue  # a name in a module
        yield str(path.relative_to(SOURCES))
        if path.name == "__init__.py":
            yield from data_of(path.parent)
        tree = ast.parse(path.read_bytes())
        at_once = set(imported(top_level(tree), path))
        if wrong := sorted(each for each in at_once if is_build_half(each)):
            raise SystemExit(f"{name} imports {wrong[0]}, which is of the build half")
        waiting += [*at_once, *imported(ast.walk(tree), path)]
        waiting += [name.rpartition(".")[0]] if "." in name else []


def data_of(package: Path) -> Iterator[str]:
    """Yield the files of a package that are no modules, such as the style of a page."""
    for path in package.iterdir():
        if path.is_file() and path.suffix in DATA and not path.name.startswith("."):
            yield str(path.relative_to(SOURCES))


def is_build_half(name: str) -> bool:
    """Say whether a module is left out."""
    return name.split(".")[:1] == ["gbuild"] and name.split(".")[1:2] in [[p] for p in BUILD_HALF]


def source(name: str) -> Path | None:
    """Return a module's file."""
    base = SOURCES.joinpath(*name.split("."))
    found = [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()]
    return found[0] if found else None


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield what runs when a module is loaded, without what is for types only."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If | ast.Try):
            if "TYPE_CHECKING" not in ast.unparse(node).split("\n", 1)[0]:
                waiting += [each for each in ast.walk(node) if isinstance(each, ast.stmt)][1:]
        else:
            yield node


def imported(nodes: Iterable[ast.AST], path: Path) -> Iterator[str]:
    """Yield the modules of ours that statements import, and names in them that may be modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("gbuild"))
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise SystemExit(f"{path} has an import with dots, as no other module has")
            if (node.module or "").split(".")[0] == "gbuild":
                yield node.module or ""
                yield from (f"{node.module}.{each.name}" for each in node.names)


def library(found: Distribution, package: str) -> Iterator[tuple[str, bytes]]:
    """Yield the sources and the licence of a library, each as its record says it was installed."""
    for file in found.files or ():
        parts = file.parts
        wanted = file.suffix == ".py" and (parts[0] == package or str(file) == f"{package}.py")
        licence = ".dist-info" in parts[0] and "licen" in file.name.lower()
        if not wanted and not licence:
            continue
        data = Path(str(file.locate())).read_bytes()
        if file.hash is None or digest(data) != file.hash.value:
            raise SystemExit(f"{file} is not the file that was installed: rm -r .venv")
        yield (str(file) if wanted else f"licenses/{found.name}.txt"), data


def digest(data: bytes) -> str:
    """Return the sha256 as a wheel's record writes it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def write(target: Path, files: dict[str, bytes]) -> None:
    """Write the archive in one step, the same for the same files."""
    descriptor, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(SHEBANG)
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                for path in sorted(files):
                    entry = zipfile.ZipInfo(path, DATE)
                    entry.create_system = 3
                    entry.external_attr = 0o100644 << 16
                    archive.writestr(entry, files[path])
        Path(name).chmod(0o755)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise


main()
