"""What the parts of the contract share: a store, an image, targets, and what a subclass may say."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gbuild.errors import BackendFailure
from gbuild.host import cgroup
from gbuild.host.process import Completed
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Limits, Machine, TargetSpec
from gbuild.target.contract.image import small_image
from gbuild.target.shell import Target

Start = Callable[..., Machine]
"""Starts a target: the arguments are fields of :class:`~gbuild.target.backend.TargetSpec`."""

LIMITS = Limits(memory=1 << 30, disk=256 << 20, inodes=20_000, processes=400)
CANARY = "canary-of-the-contract"


def unheld() -> Mapping[str, str]:
    """Return the limits that need control groups which this process cannot make: ``cannot``.

    In a container, or for a person to whom nobody gave any, gbuild's own limits are then warnings.
    """
    held = frozenset[str]().union(*(place.controllers for place in cgroup.places()))
    needed = {"memory": "memory", "cpus": "cpu", "processes": "pids"}
    why = "this person has no control groups here"
    return {what: why for what, controller in needed.items() if controller not in held}


class Contract:
    """A store, an image and targets for the tests of one backend.

    Attributes:
        kind: the backend's class; other processes must be able to import it.
        options: what is given to it as ``--backend-option``.
        cannot: what it cannot do, with the reason: ``memory``, ``cpus``, ``processes`` and ``disk``
            (limits), ``set-uid`` (switch set-uid programs off). The contract then checks that its
            targets say so in their facts, and warn, instead of checking that it holds.
        patience: factor on every time that a test allows.
        files: how many files the largest tree has.
        kills: how many drivers are killed, if nobody says another number.
    """

    kind: ClassVar[Any]  # a type[Backend]; Any lets a subclass name its own without more words
    options: ClassVar[Mapping[str, str]] = {}
    cannot: ClassVar[Mapping[str, str]] = {}
    patience: ClassVar[float] = 1.0
    files: ClassVar[int] = 50_000
    kills: ClassVar[int] = 5

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls) -> Iterator[Store]:
        """A store that mapped users can reach (pytest's own folders are closed to them)."""
        folder = Path(tempfile.mkdtemp(prefix="gbuild-contract-", dir="/var/tmp"))
        folder.chmod(0o755)
        yield Store(folder / "store")
        shutil.rmtree(folder)

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls, store: Store) -> Image:
        """A small image; one of a real distribution may replace it."""
        return small_image(store)

    @pytest.fixture(scope="class")
    @classmethod
    def events(cls) -> list[Event]:
        """What the backend told."""
        return []

    @pytest.fixture(scope="class")
    @classmethod
    def environment(cls) -> Mapping[str, str]:
        """The person's environment, with something in it that no target may see."""
        return {**os.environ, "CONTRACT_CANARY": CANARY, "SSH_AUTH_SOCK": f"/{CANARY}"}

    @pytest.fixture(scope="class")
    @classmethod
    def backend(
        cls, store: Store, image: Image, events: list[Event], environment: Mapping[str, str]
    ) -> Iterator[Backend]:
        """The backend, the image in its shape; at the end it must leave nothing behind."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            made: Backend = cls.kind(
                store=store, environment=environment, sink=events.append, options=cls.options
            )
            made.prepare(image)
            yield made
            assert made.targets() == ()
            assert [one for one in made.prepared() if not made.discard(one.key)] == []
            assert made.prepared() == ()

    @pytest.fixture(scope="class")
    @classmethod
    def machine(cls, backend: Backend, image: Image) -> Iterator[Machine]:
        """A running target without a network, for tests that leave it as it was."""
        with backend.start(cls.spec(image, name="shared")) as running:
            yield running

    @pytest.fixture
    def start(self, backend: Backend, image: Image) -> Iterator[Start]:
        """Start targets that end with the test."""
        running: list[Machine] = []

        def begin(**changes: object) -> Machine:
            running.append(backend.start(self.spec(image, **changes)))
            return running[-1]

        yield begin
        for machine in running:
            machine.stop()

    @classmethod
    def spec(cls, image: Image, **changes: object) -> TargetSpec:
        """Return a modest target."""
        plain = TargetSpec(name="contract", image=image, user="builder", limits=LIMITS)
        return replace(plain, **changes)  # type: ignore[arg-type] # the caller's are a spec's

    def sh(
        self, machine: Machine, script: str, *, user: str = "builder", timeout: float = 60
    ) -> Completed:
        """Run a script by bash in a target; ``timeout`` in seconds, times ``patience``."""
        with self.target(machine) as target:
            words = ["bash", "-c", script]
            return target.run(words, user=user, timeout=timeout * self.patience)

    def out(self, machine: Machine, script: str, *, user: str = "builder") -> str:
        """Return what a script printed, which must succeed."""
        done = self.sh(machine, script, user=user)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout.decode()

    def lose(self, machine: Machine, end: Callable[[], object]) -> None:
        """End a target by ``end`` while a command runs in it, which must tell of that."""
        ending = threading.Thread(target=end)
        with (
            self.target(machine) as target,
            pytest.raises(BackendFailure, match="lost the connection"),
        ):
            target.run(
                ["sh", "-c", "echo here; exec sleep 600"],
                user="builder",
                timeout=120 * self.patience,
                on_output=lambda *_: ending.start(),
            )
        ending.join()

    def target(self, machine: Machine) -> Target:
        """Return a target over the machine."""
        return Target(machine, ready=60 * self.patience)
