"""What a client is told that there is: the service behind, under a name of its own."""

from __future__ import annotations

from typing import Any

from wyoming.event import Event
from wyoming.info import Describe, Info

from edge_pse.assistant.protocol import PeerError
from edge_pse.assistant.recogniser import Recogniser

_OWN = "edge-pse "


def own_name(name: str) -> str:
    """Of a program behind, as clients see it."""
    return f"{_OWN}{name}"


def program_of(name: str) -> str:
    """The program behind that has this name here."""
    return name.removeprefix(_OWN)


async def described(recogniser: Recogniser) -> Event:
    """The ``info`` event of the service behind, its speech-to-text programs alone; ServiceError if there is none."""
    service = await recogniser.open()
    try:
        await service.send(Describe().event())
        while True:
            event = await service.receive(recogniser.limits.connect_s)
            if event is None:
                raise PeerError("It closed the connection before it said what it is.")
            if Info.is_type(event.type):
                break
    except PeerError as error:
        raise recogniser.broken(error) from None
    finally:
        await service.close()
    listed = event.data.get("asr")
    programs = (
        [program for program in listed if isinstance(program, dict)] if isinstance(listed, list) else []
    )
    if not programs:
        raise recogniser.broken("it is no speech-to-text service.")
    return Event(event.type, {"asr": [_own(program) for program in programs]})


def _own(program: dict[str, Any]) -> dict[str, Any]:
    """All that is said of it stays, but for the name and the description."""
    name = str(program.get("name", ""))
    what = program.get("description") or name
    return {**program, "name": own_name(name), "description": f"{what}, hearing enrolled voices only"}
