"""Run ``gbuild.cli.<command>`` from the source tree of this clone: ``.run.py COMMAND ARG...``."""

import sys
from importlib import import_module

sys.path.insert(0, f"{__file__.rpartition('/bin/')[0]}/src")
sys.argv.pop(0)
import_module(f"gbuild.cli.{sys.argv[0]}").main()
