"""What signs: one interface, so that other kinds of keys can follow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signs: the primary fingerprint and how the person calls themselves."""

    fingerprint: str
    user_id: str


class Signer(ABC):
    """Makes detached signatures over exact bytes."""

    identity: Identity

    @abstractmethod
    def sign(self, document: bytes) -> bytes:
        """Return a binary detached signature.

        Raises:
            SigningKeyFailure: the key could not be used.
        """

    @abstractmethod
    def public_key(self) -> bytes:
        """Return what others need to check the signatures, armored."""
