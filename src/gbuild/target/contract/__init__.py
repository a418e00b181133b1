"""What every backend must do, as a pytest suite that anybody can run on a backend of their own.

It comes with the extra ``gbuild[contract]``. A test module of a few lines holds a backend to it::

    from gbuild.target.contract import BackendContract
    from my_package import MyBackend

    class TestMyBackend(BackendContract):
        kind = MyBackend

What a subclass may say beyond that, and the fixtures it may replace, are attributes and methods of
:class:`~gbuild.target.contract.base.Contract`.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{part}"
        for part in ("commands", "entering", "killed", "life", "limits", "network", "trees")
    )
)

from gbuild.target.contract.base import Contract, Start, unheld  # noqa: E402 - rewritten above
from gbuild.target.contract.image import small_image  # noqa: E402
from gbuild.target.contract.neighbour import Outside  # noqa: E402
from gbuild.target.contract.suite import BackendContract  # noqa: E402

__all__ = ["BackendContract", "Contract", "Outside", "Start", "small_image", "unheld"]
