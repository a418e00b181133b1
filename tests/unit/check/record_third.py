"""Made held_out_third_tools.txt: what real programs wrote in two builds, with what was varied.

Run as root, by hand, where hostname and /srv are its own:
``unshare -mu sh -c 'mount -t tmpfs none /srv; python3 -m tests.unit.check.record_third'``.

``held_out_third_recipes.txt`` has the script of each side, which leaves a file ``o``; an empty
second script is the first, run on another date in another folder. Labels say what was varied.
Written is one line a pair: name, causes, what could be said as well (a comma for none) and both
sides as xz in base 85.
"""

from __future__ import annotations

import base64
import lzma
import os
import shutil
import subprocess
from pathlib import Path

from tests.unit.check.held_out import HERE, Pair, texts

PLACES = (Path("/srv/1st/foo-1.2"), Path("/srv/again/by/marek/foo-1.2"))
DATES = ("2024-03-05 13:22:11", "2024-03-06 08:01:47")
EPOCHS = (1709644931, 1709712107)

FILES = {
    "NEWS": "what is new\n" * 40,
    "src/main.c": '#include "foo.h"\nint main(void) { return foo(3) - 3; }\n',
    "src/foo.c": '#include "foo.h"\n#include <assert.h>\nint foo(int n) { assert(n); return n; }\n',
    "src/foo.h": "int foo(int n);\n",
    "src/bar.c": "int bar(int n) { return n * 3; }\n",
    "src/date.c": '#include <stdio.h>\nint main(void) { puts("built " __DATE__ " " __TIME__); }\n',
    "src/host.c": '#include <stdio.h>\nint main(void) { puts("built on " HOST " by " WHO); }\n',
    "src/pad.c": """#include <stdio.h>
#include <stdlib.h>
struct record { char kind; long size; char name[13]; short end; };
int main(void) {
  for (int n = 0; n < 6; n++) {
    struct record *r = malloc(sizeof *r);
    r->kind = 'f'; r->size = n * 100; r->end = 7;
    for (int i = 0; i < 13; i++) r->name[i] = "entry-number"[i];
    fwrite(r, sizeof *r, 1, stdout);
  }
}
""",
    "mod.py": "KINDS = 'a'\ndef f(x):\n    return x in {'red', 'green', 'blue', 'white', 'grey'}\n",
    "foo.po": 'msgid ""\nmsgstr ""\n"PO-Revision-Date: WHEN\\n"\n\nmsgid "open"\nmsgstr "auf"\n',
    "Zed.txt": "z\n",
    "abc.txt": "a\n",
    "Mid.txt": "m\n",
}

PRELUDE = """set -e; export LC_ALL=C.UTF-8 TZ=UTC
same() { find . -exec touch -hd '2024-01-01 00:00:00' {} +; }
build() { for n in foo bar main; do gcc -O2 -DNDEBUG -c -o $n.o src/$n.c; done
  touch -d '@DATE@' *.o; }
"""


def main() -> None:
    """Make both sides of every pair and write them down."""
    recipes = texts("held_out_third_recipes.txt")
    (HERE / "held_out_third_tools.txt").write_text("".join(map(_line, recipes)), encoding="ascii")


def _line(recipe: Pair) -> str:
    first, second = recipe.first.decode(), recipe.second.decode()
    sides = (_side(0, first), _side(1, second or first))
    if sides[0] == sides[1]:
        raise ValueError(f"{recipe.name}: both sides are the same")
    codes = [base64.b85encode(lzma.compress(side, preset=9)).decode() for side in sides]
    words = [",".join(sorted(names)) or "," for names in (recipe.causes, recipe.also)]
    return " ".join([recipe.name, *words, *codes]) + "\n"


def _side(number: int, script: str) -> bytes:
    place = PLACES[number]
    shutil.rmtree(place, ignore_errors=True)
    for name, text in FILES.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    text = f"{PRELUDE}find . -exec touch -d '@DATE@' {{}} +\n{script}"
    for word, value in (("DATE", DATES[number]), ("PLACE", place), ("EPOCH", EPOCHS[number])):
        text = text.replace(f"@{word}@", str(value))
    subprocess.run(["bash", "-c", text], cwd=place, check=True, stdout=subprocess.DEVNULL)
    return (place / "o").read_bytes()


if __name__ == "__main__":
    os.umask(0o022)
    main()
