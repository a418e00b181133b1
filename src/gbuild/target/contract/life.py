"""The life of a target: fresh at its start, gone at its end, kept when asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.errors import Busy, GbuildError, UsageFailure
from gbuild.host.store import Store
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Machine
from gbuild.target.contract.base import Contract, Start

_FOREIGN = "riscv64"
"""An architecture that few hosts have."""


class LifeContract(Contract):
    """Starting, stopping, detaching."""

    def test_an_image_that_is_gone_is_told(
        self, backend: Backend, image: Image, store: Store
    ) -> None:
        """Its tar, that is: somebody removed it from the store."""
        lost = "e" * 64
        gone = replace(image, key=lost, sha256=lost, tar=store.blob(lost))
        self._refused(backend, gone, says=(lost,))

    def test_an_image_of_another_architecture_is_told(self, backend: Backend, image: Image) -> None:
        if Path("/proc/sys/fs/binfmt_misc", f"qemu-{_FOREIGN}").exists():
            pytest.skip(f"an emulator for {_FOREIGN} is set up here")
        environment = replace(image.environment, arch=_FOREIGN)
        foreign = replace(image, key="f" * 64, environment=environment)
        self._refused(backend, foreign, says=(_FOREIGN, "architecture"))

    def _refused(self, backend: Backend, image: Image, *, says: tuple[str, ...]) -> None:
        """Check that an image is not started, that it is told why and what helps."""
        with pytest.raises(GbuildError) as caught:
            backend.start(self.spec(image, name="refused"))
        told = " ".join((caught.value.brief, *caught.value.details, caught.value.hint or ""))
        assert any(word in told for word in says), told
        assert caught.value.hint
        assert "refused" not in [one.name for one in backend.targets()]
        backend.discard(image.key)

    def test_every_target_is_fresh(self, start: Start) -> None:
        first = start(name="fresh")
        self.out(first, "echo x > /home/builder/left; touch /tmp/left /var/tmp/left")
        self.out(first, "rm /usr/bin/wc; echo changed > /etc/left; echo x >> /etc/passwd",
                 user="root")  # fmt: skip
        first.stop()
        second = start(name="fresh")
        left = "ls /home/builder/left /tmp/left /var/tmp/left /etc/left 2>/dev/null"
        assert self.sh(second, f"{left}; ls /usr/bin/wc; grep -c ^x /etc/passwd").stdout == (
            b"/usr/bin/wc\n0\n"
        )

    def test_stop_ends_everything_and_can_be_repeated(self, start: Start) -> None:
        machine = start(name="ending")
        assert machine.alive()
        self.sh(machine, "setsid sleep 1000 >/dev/null 2>&1 </dev/null &")
        self.lose(machine, machine.stop)
        assert not machine.alive()
        machine.stop()
        with self.target(machine) as target, pytest.raises(GbuildError):
            target.run(["true"], timeout=30)

    def test_a_context_ends_the_target(self, backend: Backend, image: Image) -> None:
        with backend.start(self.spec(image, name="context")) as machine:
            assert "context" in _running(backend)
        assert not machine.alive()
        assert "context" not in [one.name for one in backend.targets()]

    def test_an_image_in_use_is_not_discarded(
        self, backend: Backend, image: Image, machine: Machine
    ) -> None:
        with pytest.raises(Busy):
            backend.discard(image.key)
        assert self.out(machine, "echo here") == "here\n"

    def test_a_detached_target_is_kept_for_others(self, backend: Backend, image: Image) -> None:
        info = backend.detach(self.spec(image, name="kept"))
        try:
            assert (info.name, info.state, info.backend) == ("kept", "running", backend.name)
            assert "kept" in _running(backend)
            assert self.sh(backend.attach("kept"), "echo x > mark").returncode == 0
            with pytest.raises(UsageFailure, match="kept"):
                backend.detach(self.spec(image, name="kept"))
            backend.prune()
            assert self.out(backend.attach("kept"), "cat mark") == "x\n"
        finally:
            backend.attach("kept").stop()
        assert "kept" not in [one.name for one in backend.targets()]
        assert "target kept" not in backend.prune()  # others may have left things

    def test_a_target_that_is_not_there(self, backend: Backend) -> None:
        with pytest.raises(UsageFailure, match="nowhere"):
            backend.attach("nowhere")


def _running(backend: Backend) -> list[str]:
    return [one.name for one in backend.targets() if one.state == "running"]
