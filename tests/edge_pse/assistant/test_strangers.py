"""Who spoke: what becomes of a transcript, and of a command in which nobody enrolled is heard."""

import asyncio

import numpy as np
import pytest
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event

from edge_pse.assistant.reply import Policy, Strangers, Tag
from tests.edge_pse.assistant.services import Scripted, answers, client, coded, proxy, serving, speak

STREAMED = [
    TranscriptStart().event(), TranscriptChunk(text="turn").event(), TranscriptChunk(text=" on").event(),
    Transcript(text="turn on", context={"room": "hall"}).event(), TranscriptStop().event(),
]  # fmt: skip


@pytest.fixture
def told(model, female_profile):
    """``told(samples, policy)`` -> what the client is told; the service is ``told.service``."""

    def command(samples, policy, service=None, **format):
        told.service = service or Scripted()

        async def spoken():
            async with (
                serving(told.service) as behind,
                proxy(behind, model, female_profile, policy=policy) as port,
                client(port) as home,
            ):
                await speak(home, samples, before=[Transcribe(language="en").event()], **format)
                return [(event.type, event.data) for event in await answers(home)]

        return asyncio.run(spoken())

    return (told := command)


def test_a_transcript_gets_the_name_in_front(told, recording):
    said = told(recording("ls367_speech"), Policy(tag=Tag.TEXT), Scripted(STREAMED))
    assert [data.get("text") for _, data in said] == [None, "[ls367] turn", " on", "[ls367] turn on", None]


def test_where_nothing_was_understood_there_is_no_name_either(told, recording):
    silent = [Event("transcript-chunk", {"text": ""}), Event("transcript-chunk", {"text": "on"})]
    said = told(recording("ls367_speech"), Policy(tag=Tag.TEXT), Scripted([*silent, STREAMED[-2]]))
    assert [data.get("text") for _, data in said][:2] == ["", "[ls367] on"]
    said = told(
        recording("ls367_speech"), Policy(tag=Tag.TEXT), Scripted([Event("transcript", {"text": " "})])
    )
    assert said == [("transcript", {"text": " "})]


def test_or_beside_its_text(told, recording):
    said = told(recording("ls367_speech"), Policy(tag=Tag.CONTEXT), Scripted(STREAMED))
    assert [data.get("text") for _, data in said] == [None, "turn", " on", "turn on", None]
    assert said[3][1]["context"] == {"room": "hall", "speaker": "ls367"}
    odd = Scripted([Event("transcript", {"text": "turn on", "context": "hall"})])
    said = told(recording("ls367_speech"), Policy(tag=Tag.CONTEXT), odd)
    assert said == [("transcript", {"text": "turn on", "context": {"speaker": "ls367"}})]


def test_a_stranger_gets_no_name_and_is_understood_as_far_as_the_network_leaves_something(told, recording):
    assert told(recording("ls2033_speech"), Policy(tag=Tag.TEXT)) == [("transcript", {"text": "words"})]


def test_a_stranger_gets_an_empty_transcript(told, recording):
    policy = Policy(Strangers.EMPTY)
    assert told(recording("ls2033_speech"), policy, Scripted(STREAMED)) == [("transcript", {"text": ""})]
    assert told(recording("ls367_speech"), policy) == [("transcript", {"text": "words"})]


def test_or_all_is_passed_on_as_it_came(told, recording):
    samples, policy = recording("ls2033_speech"), Policy(Strangers.PASS, Tag.TEXT)
    assert told(samples, policy, channels=2, width=3) == [("transcript", {"text": "words"})]
    service = told.service
    starts = [place for place, event in enumerate(service.events) if event.type == "audio-start"]
    assert service.connections == 2 and len(starts) == 2
    assert service.events[starts[1] - 1].data["language"] == "en"
    again = service.events[starts[1] :]
    assert again[0].data["width"] == 3 and again[-1].type == "audio-stop"
    assert b"".join(event.payload or b"" for event in again) == coded(samples, 3, 2)
    told(recording("ls367_speech"), policy)
    assert told.service.connections == 1


def test_a_service_that_ends_a_command_by_itself_need_not_wait_for_its_end(model, female_profile, recording):
    """What was heard until then says who spoke."""

    class Early(Scripted):
        async def react(self, event, handler):
            if event.type == "audio-chunk" and self.heard.size > 3 * 16_000:
                await handler.write_event(Transcript(text="early").event())
                return False
            return True

    async def spoken():
        async with (
            serving(Early()) as behind,
            proxy(behind, model, female_profile, policy=Policy(Strangers.PASS, Tag.TEXT)) as port,
            client(port) as home,
        ):
            speaking = asyncio.create_task(speak(home, np.tile(recording("ls367_speech"), 2)))
            (event,) = await answers(home)
            await speaking
            return event.data["text"]

    assert asyncio.run(spoken()) == "[ls367] early"


def test_a_part_of_a_sample_at_the_end_of_a_command_is_not_passed_on(model, female_profile, recording):
    service, content = Scripted(), coded(recording("ls2033_speech")[:16_000], 2, 1) + b"\0"

    async def spoken():
        async with (
            serving(service) as behind,
            proxy(behind, model, female_profile, policy=Policy(Strangers.PASS)) as port,
            client(port) as home,
        ):
            await home.write_event(AudioStart(16_000, 2, 1).event())
            await home.write_event(AudioChunk(16_000, 2, 1, content).event())
            await home.write_event(AudioStop().event())
            await answers(home)

    asyncio.run(spoken())
    assert service.connections == 2
    assert all(len(event.payload or b"") % 2 == 0 for event in service.events)
