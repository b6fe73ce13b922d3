"""One client, from its first event to its last."""

from __future__ import annotations

from collections.abc import Callable

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart
from wyoming.event import Event
from wyoming.info import Describe, SelectProgram

from edge_pse.assistant.command import Behind, Command, sound_of
from edge_pse.assistant.description import described, program_of
from edge_pse.assistant.enrolling import CommandEnrollment
from edge_pse.assistant.protocol import Connection, PeerError
from edge_pse.assistant.recogniser import ServiceError
from edge_pse.assistant.sound import Format
from edge_pse.text import shown


class Client:
    """Serves one connection; any number of commands, one after the other.

    ``say``: hears, in one sentence each, what went wrong.
    """

    def __init__(self, behind: Behind, connection: Connection, say: Callable[[str], object]):
        self._behind, self._connection, self._say = behind, connection, say
        self._program: Event | None = None
        self._request: Event | None = None

    async def run(self) -> None:
        """Until the client leaves, or does something that ends its connection."""
        connection = self._connection
        fault = ""
        try:
            while (event := await connection.receive(self._behind.recogniser.limits.idle_s)) is not None:
                if not await self._handle(event):
                    return await connection.part()
        except PeerError as error:
            fault = str(error)
        # Out here: what fails from here on stays with the connection, and would hold the error, whose frames hold all
        # of the command.
        if fault:
            self._say(f"The connection with {connection.peer} was ended: {shown(fault)}")
            return await connection.refuse(fault, "bad-request")
        return await connection.close()

    async def _handle(self, event: Event) -> bool:
        """-> whether the connection goes on."""
        if Describe.is_type(event.type):
            return await self._describe()
        if SelectProgram.is_type(event.type):
            self._program = SelectProgram(_name(event)).event()
        elif Transcribe.is_type(event.type):
            self._request = event
        elif AudioStart.is_type(event.type):
            return await self._command(event)
        elif AudioChunk.is_type(event.type):
            raise PeerError("Sound came before audio-start.")
        return True

    async def _describe(self) -> bool:
        try:
            await self._connection.send(await described(self._behind.recogniser))
        except ServiceError as error:
            self._say(str(error))
            await self._connection.refuse(str(error), "service-failed")
            return False
        return True

    async def _command(self, start: Event) -> bool:
        try:
            form = Format.of(start.data)
        except ValueError as error:
            raise PeerError(str(error)) from None
        request = [event for event in (self._program, self._request) if event is not None]
        self._request = None
        if self._behind.enrollment is not None and not self._behind.enrollment.done:
            await self._enroll(form, self._behind.enrollment)
            return True
        command = Command(self._behind, self._connection, request, form)
        well = await command.run()
        if not well:
            self._say(command.failure)
        return well

    async def _enroll(self, form: Format, enrollment: CommandEnrollment) -> None:
        """The command says nothing but whose voice it is; what came of it is the transcript."""
        content = bytearray()
        async for piece in sound_of(self._connection, form, self._behind.recogniser.limits):
            content += piece
            if len(content) > self._behind.recogniser.limits.kept_bytes:
                raise PeerError("That is too long for an enrollment: say several short sentences.")
        content = content[: len(content) - len(content) % form.frame_bytes]

        def add() -> str:
            return enrollment.add(form.decoded(bytes(content)), form.rate_hz)

        said = await self._behind.network.compute(add)
        self._say(f"Enrollment: {said}")
        await self._connection.send(Transcript(text=said).event())


def _name(selection: Event) -> str:
    """The program behind that is selected; PeerError if none is named."""
    name = selection.data.get("name")
    if not isinstance(name, str):
        raise PeerError("A program was selected without its name.")
    return program_of(name)
