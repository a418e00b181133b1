"""Run ``gbuild.cli.<command>`` from the source tree of this clone: ``.run.py COMMAND ARG...``."""

import _signal  # what signal is made of: built in, so that nothing is imported before it
import sys

ours = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler  # else it is ignored
if ours:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # ctrl-C among the imports: no traceback
from importlib import import_module  # noqa: E402

sys.path.insert(0, f"{__file__.rpartition('/bin/')[0]}/src")
sys.argv.pop(0)
command = import_module(f"gbuild.cli.{sys.argv[0]}")
if ours:
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
command.main()
