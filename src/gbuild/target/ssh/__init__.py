"""SSH to a machine, and the only place that knows paramiko."""

from gbuild.target.ssh.connection import Connection, connect
from gbuild.target.ssh.session import Session
from gbuild.target.ssh.wire import Stream

__all__ = ["Connection", "Session", "Stream", "connect"]
