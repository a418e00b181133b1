"""Checks signatures: many in one gpg, two gpgs at a time, and alone whatever is not clear.

A batch holds messages of a signature packet and the document as literal data, which gpg checks
file by file in one process. Its word is taken when it is clear (a good, expired or revoked
signature with all that belongs to it, or a key that is not there); for everything else, bad
signatures too, gpg is asked again as it would be without batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from threading import Thread

from gbuild.errors import GbuildError, TimedOut
from gbuild.formats import gpgstatus, openpgp
from gbuild.host.keyring import Keyring, Messages
from gbuild.model.verdict import Evidence, Signature, Status
from gbuild.verify.binding import Binding
from gbuild.verify.keys import KeySource

MAX_CONTENT = 32 << 20
"""Bytes that a signed message may hold, unpacked."""

_AT_ONCE = 2
"""So many gpgs run together: measured, a third one gains nothing on two cores."""
_FIRST, _LARGEST = 24, 96
"""Signatures in the first batches and in the later ones: a small release needs one gpg."""
_BYTES = 8 << 20
_SMALL = 1 << 18
"""A document up to this size is checked once per signature; a larger one once for all."""

Witness = Callable[[bytes, bytes | None], Evidence | None]
"""Finds outside evidence of when a signature file existed; also gets its timestamp proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Checks signatures with the keys of one keyring; the keyring is read once.

    ``binding`` says whose the keys are, ``witness`` finds outside evidence.
    """

    keyring: Keyring
    keys: Mapping[str, gpgstatus.Key] = field(default_factory=dict)
    binding: Binding = field(default_factory=Binding)
    witness: Witness | None = None

    @classmethod
    def of(
        cls,
        keyring: Keyring,
        source: KeySource | None = None,
        *,
        witness: Witness | None = None,
    ) -> Checker:
        """Make a checker for what the keyring holds now; ``source`` is where that came from."""
        reasons = _reasons(source) if source else {}
        listed = gpgstatus.read_keys(keyring.listing())
        return cls(
            keyring=keyring,
            keys={
                key.fingerprint: replace(key, revocation=reasons.get(key.fingerprint))
                for key in listed
            },
            binding=source.binding if source else Binding(),
            witness=witness,
        )

    def __call__(self, packets: bytes, document: bytes) -> Signature:
        """Check detached signature packets over a document."""
        return gpgstatus.speaks_for_all(self.alone(packets, document))

    def alone(self, packets: bytes, document: bytes) -> tuple[Signature, ...]:
        """Check detached signature packets over a document with a gpg of their own.

        One that gpg does not come to an end with is unreadable: nothing was proven.
        """
        try:
            lines = self.keyring.verify(packets, document)
        except GbuildError as error:
            return (Signature(status=Status.UNREADABLE, detail=error.brief),)
        return gpgstatus.read_signatures(lines, self.keys)

    def open_message(self, message: bytes) -> tuple[bytes | None, Signature]:
        """Take the content out of a signed message; None when no signature vouches for it.

        The content is what gpg put out, never what lies in the file.
        """
        try:
            content, lines = self.keyring.open_message(message, limit=MAX_CONTENT)
        except GbuildError as error:
            return None, Signature(status=Status.UNREADABLE, detail=error.brief)
        found = gpgstatus.speaks_for_all(gpgstatus.read_signatures(lines, self.keys))
        if len(content) > MAX_CONTENT or not gpgstatus.is_one_message(lines):
            return None, Signature(status=Status.UNREADABLE, detail="no message that can be read")
        return content, found

    @contextmanager
    def batches(self) -> Iterator[Batches]:
        """Give a queue of signatures to check; every gpg has ended in the end."""
        queue = Batches(self)
        try:
            yield queue
        finally:
            queue.finish()


def _reasons(source: KeySource) -> Mapping[str, str]:
    keys = chain.from_iterable(file.keys for file in source.files)
    return {owner: reason for key in keys for owner, reason in key.revocations.items()}


class Ticket:
    """The signatures of one file, once they have been checked."""

    def __init__(self, batch: _Batch, jobs: Sequence[int]) -> None:
        self._batch = batch
        self._jobs = jobs

    def signatures(self) -> tuple[Signature, ...]:
        """Wait for the answer; none when gpg found no signature at all."""
        answers = self._batch.answers()
        return tuple(chain.from_iterable(answers[job] for job in self._jobs))


class Batches:
    """A queue of signatures; at most two batches are with gpg at a time."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._open: _Batch | None = None
        self._running: list[_Batch] = []
        self._limit = _FIRST

    def add(self, packets: bytes, document: bytes) -> Ticket:
        """Have detached signature packets over a document checked."""
        batch = self._open or self._new()
        each = openpgp.each_signature(packets) if len(document) <= _SMALL else (packets,)
        ticket = Ticket(batch, [batch.add(one, document) for one in each])
        if batch.size >= self._limit or batch.octets >= _BYTES:
            self.send()
        return ticket

    def send(self) -> None:
        """Give what has been collected to gpg, and wait until fewer than two were busy."""
        if self._open is None:
            return
        while len(self._running) >= _AT_ONCE:
            self._running.pop(0).answers()
        self._running.append(self._open)
        self._open.start()
        self._open = None
        self._limit = min(self._limit * 2, _LARGEST)

    def finish(self) -> None:
        """Wait for every gpg."""
        for batch in self._running:
            batch.answers()

    def _new(self) -> _Batch:
        self._open = _Batch(self._checker, self)
        return self._open


@dataclass(slots=True)
class _Job:
    """One signature of a batch: the file it is in, and where in it the document starts."""

    name: str
    packets: bytes
    start: int
    batchable: bool


class _Batch:
    """Signatures for one gpg."""

    def __init__(self, checker: Checker, queue: Batches) -> None:
        self.octets = 0
        self._checker = checker
        self._queue = queue
        self._jobs: list[_Job] = []
        self._answers: list[tuple[Signature, ...]] = []
        self._folder = checker.keyring.messages()
        self._messages: Messages = self._folder.__enter__()
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    @property
    def size(self) -> int:
        return len(self._jobs)

    def add(self, packets: bytes, document: bytes) -> int:
        message = openpgp.signed_literal(packets, document)
        name = self._messages.add(message.head, message.data)
        batchable = openpgp.is_batchable(packets)
        self._jobs.append(_Job(name, packets, len(message.head), batchable))
        self.octets += len(document)
        return len(self._jobs) - 1

    def start(self) -> None:
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def answers(self) -> Sequence[tuple[Signature, ...]]:
        """Wait for the answers, one for every job; send the batch when it was not sent yet."""
        if self._thread is None:
            self._queue.send()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._answers

    def _run(self) -> None:
        try:
            settled = self._together([job.name for job in self._jobs if job.batchable])
            for job in self._jobs:
                lines = settled.get(job.name)
                if lines is None:
                    self._answers.append(self._alone(job))
                else:
                    self._answers.append(gpgstatus.read_signatures(lines, self._checker.keys))
        except BaseException as error:  # noqa: BLE001 - told again in the thread that waits
            self._error = error
        finally:
            self._folder.__exit__(None, None, None)

    def _together(self, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the status lines of those of which gpg's word is clear.

        gpg ends at a bad signature; what comes behind it is given to the next one.
        """
        settled: dict[str, Sequence[str]] = {}
        while names:
            try:
                answers = gpgstatus.by_file(self._messages.verify(names))
            except TimedOut:
                break
            settled |= {
                name: lines
                for name, lines in answers.items()
                if lines is not None and gpgstatus.is_settled(lines)
            }
            left = [name for name in names if name not in answers]
            if len(left) == len(names):
                break
            names = left
        return settled

    def _alone(self, job: _Job) -> tuple[Signature, ...]:
        document = self._messages.read(job.name, start=job.start)
        return self._checker.alone(job.packets, document)
