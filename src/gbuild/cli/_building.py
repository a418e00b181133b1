"""Options that every command which builds has, gbuild and gcheck alike."""

from __future__ import annotations

from pathlib import Path

import click

descriptor_argument = click.argument(
    "descriptor", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
)
allow_sudo = click.option(
    "--allow-sudo", is_flag=True, help="Let a descriptor with 'sudo: true' have it."
)
unproven_lock = click.option(
    "--unproven-lock",
    is_flag=True,
    help="Use a lock from an assertion although no archive vouches for it; it is recorded.",
)
num_make = click.option(
    "-j",
    "--num-make",
    "num_procs",
    type=click.IntRange(1, 1024),
    default=2,
    show_default=True,
    metavar="PROCS",
    help="Processes the script may use (MAKEOPTS, NUM_PROCS).",
)
memory = click.option(
    "-m",
    "--memory",
    type=click.IntRange(64),
    default=2000,
    show_default=True,
    metavar="MIB",
    help="Memory of a target (NUM_MEM).",
)
offline = click.option("--offline", is_flag=True, help="Use no network, and give the script none.")
wait = click.option("--wait", is_flag=True, help="Wait until another gbuild leaves the workspace.")
timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Kill a script that takes longer.",
)
scratch = click.option(
    "--scratch",
    type=click.Choice(["tmpfs", "disk"]),
    default="tmpfs",
    show_default=True,
    help="Where a target writes.",
)
