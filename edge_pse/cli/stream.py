"""``edge-pse stream``: raw samples from standard input to standard output, each hop as soon as it is done."""

from __future__ import annotations

from functools import partial

import click
import numpy as np

from edge_pse import targets
from edge_pse.audio.stream import PcmStream
from edge_pse.cli import notices, options, pipes
from edge_pse.cli.number_range import NumberRange
from edge_pse.cli.profile_watch import ProfileWatch
from edge_pse.enhancer import Enhancer
from edge_pse.errors import AudioError
from edge_pse.text import shown

_WARM_UP_HOPS = 10
_FORMAT = "As ffmpeg or arecord names it: u8, s16le, s24le (three bytes), S24_LE (four), s32le, f32le, mulaw and so on."


@click.command()
@click.option("--rate", type=int, default=16_000, show_default=True, help="Samples a second of a channel.")
@click.option("--format", "form", metavar="FORMAT", default="s16le", show_default=True, help=_FORMAT)
@click.option("--channels", type=int, default=1, show_default=True, help="How many come, in turn.")
@click.option(
    "--channel", type=int, metavar="N", help="The one to enhance; without it, that with most speech at first."
)
@click.option(
    "--far-end-channel",
    type=int,
    metavar="N",
    help="The one with what the loudspeaker plays: its echo is cancelled.",
)
@click.option("--output-rate", type=int, help="Without it, that of the input.")
@click.option("--output-format", metavar="FORMAT", help="Without it, that of the input.")
@click.option(
    "--from-now",
    is_flag=True,
    help="Leave out what came while this started, so that a player is not late by it.",
)
@options.profiles
@click.option(
    "--strength",
    type=NumberRange(0, 1),
    show_default=options.OF_TARGET,
    help="How much of the rest to take away; 0 is nothing.",
)
@options.band
@options.general
@options.target
@options.model_of_target
@options.backend_of_target
def stream(
    rate: int,
    form: str,
    channels: int,
    channel: int | None,
    far_end_channel: int | None,
    output_rate: int | None,
    output_format: str | None,
    from_now: bool,
    names: tuple[str, ...],
    strength: float | None,
    full_band: bool,
    general: bool,
    target: str,
    model_name: str | None,
    backend: str | None,
) -> None:
    """Enhance raw samples (PCM) as they come, between other programs.

    They are read from standard input and written to standard output: one channel, as long as the input and aligned
    with it. A sample is held back for 20 ms. Rates of which 10 ms are no whole number of samples, such as 22050, take
    up to 8 ms more.

    \b
    arecord -q -t raw -f S16_LE -r 16000 | edge-pse stream --profile me | aplay -q -t raw -f S16_LE -r 16000
    """  # noqa: D301  click takes what follows as it is
    sink = pipes.Output()
    source = pipes.Input()
    settings = targets.choose(target).settings.override(model=model_name, backend=backend, strength=strength)
    model = settings.load_model(far_end=far_end_channel is not None)
    if far_end_channel is not None and not model.contract.far_end:
        click.echo(notices.no_far_end(model), err=True)
        if channel is None:  # the loudspeaker is no voice
            raise click.UsageError("Then name the --channel of the microphone.")
        far_end_channel = None
    enhancer = Enhancer(model, options.load_profiles(names, general), settings.strength, full_band=full_band)
    enhancer.process(np.zeros(_WARM_UP_HOPS * enhancer.hop_samples, np.float32))  # the first calls are slow
    through = PcmStream(
        enhancer,
        rate,
        form,
        channels,
        channel=channel,
        far_end_channel=far_end_channel,
        output_rate_hz=output_rate,
        output_format=output_format,
    )
    pipes.end_on_signals()
    with ProfileWatch(enhancer, partial(options.load_profile, general=general), _say):
        if from_now:
            _leave_out_waiting(source, through.frame_bytes, rate)
        # A hop at a time: what it brings out is written before the next one is read.
        hop = max(1, rate * enhancer.hop_samples // enhancer.sample_rate_hz)
        try:
            _pass(through, source, sink, hop * through.frame_bytes, rate)
        except OSError as error:
            raise AudioError(
                f"Can't write the output ({error.strerror}): what was written before is there."
            ) from error


def _leave_out_waiting(source: pipes.Input, frame_bytes: int, rate_hz: int) -> None:
    seconds = source.leave_out_waiting(frame_bytes) / frame_bytes / rate_hz
    _say(f"Left out {seconds:.2f} s that came while this started.")


def _pass(through: PcmStream, source: pipes.Input, sink: pipes.Output, hop_bytes: int, rate_hz: int) -> None:
    """From here to the end of the input, or to what is no sound; all that came before is written."""
    fault: AudioError | None = None
    bytes_read = 0
    while fault is None and (content := source.read(hop_bytes)):
        try:
            ready = through.process(content)
        except AudioError as error:
            fault = error
        else:
            sink.write(ready)
            bytes_read += len(content)
    cut = through.incomplete_bytes
    sink.write(through.flush())
    if fault is not None:
        seconds = bytes_read / through.frame_bytes / rate_hz
        raise AudioError(
            f"{fault} It came {seconds:.1f} s from the start: are --rate, --format and --channels those of the input?"
        ) from fault
    if cut:
        _say(f"The input ends within a frame of {through.frame_bytes} bytes: its last {cut} are left out.")


def _say(sentence: str) -> None:
    click.echo(shown(sentence), err=True)
