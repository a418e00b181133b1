"""Run ``gbuild.cli.<command>`` from the source tree of this clone: ``.run.py COMMAND ARG...``."""

import sys
from importlib import import_module
from os.path import dirname, join  # noqa: PTH120, PTH118 (pathlib would cost 10 ms)

sys.path.insert(0, join(dirname(dirname(__file__)), "src"))
sys.argv.pop(0)
import_module(f"gbuild.cli.{sys.argv[0]}").main()
