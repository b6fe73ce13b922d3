"""What is kept of commands for whoever looks for a fault."""

import asyncio
import stat

import numpy as np
import pytest
import soundfile

from edge_pse.assistant import recordings
from edge_pse.assistant.recordings import Recordings
from edge_pse.errors import AssistantError
from tests.edge_pse.assistant.services import Scripted, answers, client, proxy, serving, speak


def command(model, samples, kept, times=1, **format):
    service = Scripted()

    async def spoken():
        async with serving(service) as behind, proxy(behind, model, recordings=kept) as port:
            for _ in range(times):
                async with client(port) as home:
                    await speak(home, samples, **format)
                    (event,) = await answers(home)
                    assert event.data["text"] == "words"

    asyncio.run(spoken())
    return service


@pytest.mark.parametrize(("width", "channels"), [(2, 1), (1, 2), (3, 1)])
def test_both_sides_of_a_command_are_kept_for_their_owner_alone(model, recording, tmp_path, width, channels):
    folder, said = tmp_path / "a" / "heard", []
    samples = recording("ls367_speech")[:16_000]
    service = command(model, samples, Recordings(folder, said.append), width=width, channels=channels)
    heard, sent = sorted(folder.iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, heard, sent)] == [0o700, 0o600, 0o600]
    kept, rate = soundfile.read(heard, dtype="float32", always_2d=True)
    assert rate == 16_000 and kept.shape == (16_000, channels) and np.abs(kept[:, 0] - samples).max() < 0.01
    passed_on, _ = soundfile.read(sent, dtype="float32")
    assert np.array_equal(passed_on, service.heard)
    assert not said


def test_the_oldest_go_first(model, recording, tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "MOST_COMMANDS", 2)
    command(model, recording("ls367_speech")[:1600], Recordings(tmp_path / "heard", print), times=4)
    names = sorted(path.name for path in (tmp_path / "heard").iterdir())
    assert len(names) == 4 and all("-0003-" in name for name in names[:2]), names


def test_a_full_disk_costs_the_recording_and_not_the_command(model, recording, small_disk):
    said = []
    command(model, np.tile(recording("ls367_speech"), 2), Recordings(small_disk / "heard", said.append))
    assert len(said) == 1 and "not complete" in said[0]


def test_a_folder_into_which_others_look_is_refused(tmp_path):
    tmp_path.chmod(0o755)
    with pytest.raises(AssistantError, match="chmod 700"):
        Recordings(tmp_path, print)
    tmp_path.chmod(0o1777)
    with pytest.raises(AssistantError, match=r"^Others may look into [^ ]*: give a folder"):
        Recordings(tmp_path, print)
    (tmp_path / "file").touch()
    with pytest.raises(AssistantError, match="another folder"):
        Recordings(tmp_path / "file", print)
