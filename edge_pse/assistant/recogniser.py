"""The speech-to-text service behind: how it is reached, and what is said when it fails."""

from __future__ import annotations

from dataclasses import dataclass

from edge_pse.assistant.protocol import Address, Connection, Limits


class ServiceError(Exception):
    """The service behind fails; its text is a sentence for whoever waits for the transcript."""


@dataclass(frozen=True)
class Recogniser:
    """A Wyoming service that writes down what is said."""

    address: Address
    limits: Limits

    async def open(self) -> Connection:
        """A connection; ServiceError where there is none to be had."""
        try:
            return await Connection.open(self.address, self.limits)
        except OSError as error:
            reason = error.strerror or str(error) or f"no answer within {self.limits.connect_s:g} s"
            raise ServiceError(
                f"The speech-to-text service at {self.address} can't be reached ({reason}): start it, or look whether "
                "--asr names it."
            ) from None

    def broken(self, what: object) -> ServiceError:
        """What to say when it fails on the way."""
        return ServiceError(f"The speech-to-text service at {self.address} failed: {what}")
