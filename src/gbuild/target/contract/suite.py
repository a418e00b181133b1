"""The whole contract."""

from __future__ import annotations

from gbuild.target.contract.commands import CommandContract
from gbuild.target.contract.entering import EnteringContract
from gbuild.target.contract.killed import KilledContract
from gbuild.target.contract.life import LifeContract
from gbuild.target.contract.limits import LimitContract
from gbuild.target.contract.network import NetworkContract
from gbuild.target.contract.trees import TreeContract


class BackendContract(
    EnteringContract,
    CommandContract,
    TreeContract,
    NetworkContract,
    LimitContract,
    LifeContract,
    KilledContract,
):
    """What every backend must do; a subclass names the backend as ``kind``."""
