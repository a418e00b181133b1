"""SSH to a machine, and the only place that knows paramiko."""

from gbuild.target.ssh import _paramiko as _first  # noqa: F401 - before paramiko is imported
from gbuild.target.ssh.arrivals import Piece, Stream
from gbuild.target.ssh.connection import Connection, Silent, connect
from gbuild.target.ssh.session import Session

__all__ = ["Connection", "Piece", "Session", "Silent", "Stream", "connect"]
