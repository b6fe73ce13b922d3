"""Who speaks in a file, second by second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_pse.audio.files.enhancing import ProgressCallback
from edge_pse.audio.files.reading import AudioReader, select_channels, warn_of_notes
from edge_pse.enhancer import Enhancer
from edge_pse.model import DEFAULT_MODEL, Model
from edge_pse.profiles import Profile
from edge_pse.resampling import Resampler
from edge_pse.speakers import Heard
from edge_pse.spectral import next_whole_hop_rate


def who_speaks(
    source: str | Path,
    profiles: Sequence[Profile],
    model: Model | str | Path = DEFAULT_MODEL,
    channel: int | None = None,
    on_progress: ProgressCallback | None = None,
) -> list[Heard]:
    """Each second of a file, and the rest at its end; ``edge_pse.speakers.turns`` makes turns of them.

    ``profiles``: those whom it might be. ``channel``: of the file, counted from 1; without it those with most speech.
    ``on_progress``: see ``enhance_file``. Nothing is kept of the sound. An EdgePseWarning tells of a file that is
    shorter than it says. Raises AudioError for a file that can't be
    read, and ModelError and ProfileError as ``Enhancer.identify`` does.
    """
    heard: list[Heard] = []
    model = Model.of(model)
    with AudioReader(source) as reader:
        rate = next_whole_hop_rate(reader.sample_rate_hz)
        # Nobody hears what comes out.
        enhancer = Enhancer(model, rate_hz=rate, output_rate_hz=model.contract.sample_rate_hz)
        enhancer.identify(heard.append, profiles)
        selection = select_channels(source, channel)
        to_hops = Resampler(reader.sample_rate_hz, rate)
        frames = 0
        for block in reader.blocks():
            enhancer.process(to_hops.process(selection.of(block)))
            frames += len(block)
            if on_progress:
                there = None if reader.frames is None else reader.frames / reader.sample_rate_hz
                on_progress(frames / reader.sample_rate_hz, there)
        enhancer.process(to_hops.flush())
        warn_of_notes(reader)
    enhancer.flush()
    return heard
