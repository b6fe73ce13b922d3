"""``edge-pse run``: the microphone, enhanced as it is spoken into."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import click

from edge_pse import targets
from edge_pse.audio.live import AUTO, VIRTUAL, Live, Recorder
from edge_pse.cli import notices, options, output, resuming
from edge_pse.cli.auto_enroll import StreamEnrollment
from edge_pse.cli.libraries import quiet_libraries
from edge_pse.cli.live_screen import Lines, Screen, View
from edge_pse.cli.named_path import NamedPath
from edge_pse.cli.number_range import NumberRange
from edge_pse.cli.profile_watch import ProfileWatch
from edge_pse.cli.stopping import stop_on_signals
from edge_pse.cli.terminal import is_terminal
from edge_pse.cli.who import Speaking, all_enrolled
from edge_pse.control import ControlServer, Desk
from edge_pse.enhancer import Enhancer
from edge_pse.errors import ControlError, ProfileError, StreamHungError
from edge_pse.profiles import Profile, ProfileStore
from edge_pse.service import Service
from edge_pse.speakers import ERRORS
from edge_pse.spectral import Samples

_STRENGTH_STEP = 0.1
_SWITCH_INTERVAL_S = 0.001
_HUNG_PAUSE_S = 0.5


@click.command()
@options.profiles
@click.option(
    "--input", "source", metavar="DEVICE", help="Microphone: a name or part of it, a number, an ALSA PCM."
)
@click.option(
    "--output",
    "sink",
    metavar="DEVICE",
    help=f"Where to play: a device, or `{VIRTUAL}`, the virtual microphone.",
)
@click.option("--strength", type=NumberRange(0, 1), show_default=options.OF_TARGET, help="0 is the input.")
@options.band
@click.option("--bypass", is_flag=True, help="Begin with the input as it is, at the same delay.")
@click.option(
    "--record",
    type=NamedPath(),
    metavar="FILE",
    help="Also write what is played; a file that is there stays, and the next free name is taken.",
)
@click.option(
    "--channel", type=click.IntRange(1), help="Of the microphone; without it, that with most speech."
)
@click.option(
    "--latency",
    type=NumberRange(5, 1000),
    show_default=options.OF_TARGET,
    help="Of each device's buffer, ms.",
)
@click.option(
    "--on-demand", is_flag=True, help="Open the microphone only while a program records (output virtual)."
)
@click.option(
    "--loopback",
    metavar="DEVICE",
    help=f"Where to hear what the loudspeaker plays, to cancel its echo; `{AUTO}` is the default output's monitor.",
)
@click.option(
    "--auto-enroll",
    metavar="NAME",
    help="Enroll the voice that talks most while this runs, or add to the profile in use; asks first on a terminal.",
)
@click.option(
    "--who",
    is_flag=True,
    help="Show which of the profiles speaks, a guess; without --profile, who of all that are enrolled.",
)
@options.general
@options.target
@options.model_of_target
@options.backend_of_target
def run(
    names: tuple[str, ...],
    source: str | None,
    sink: str | None,
    strength: float | None,
    full_band: bool,
    bypass: bool,
    record: Path | None,
    channel: int | None,
    latency: float | None,
    on_demand: bool,
    loopback: str | None,
    auto_enroll: str | None,
    who: bool,
    general: bool,
    target: str,
    model_name: str | None,
    backend: str | None,
) -> None:
    """Enhance the microphone live, until Ctrl-C."""
    if on_demand and sink != VIRTUAL:
        raise click.UsageError(f"--on-demand needs --output {VIRTUAL}.")
    kept: Sequence[str] = names
    resumed = resuming.taken()
    if resumed is not None:
        kept, strength, bypass = resumed.profiles, resumed.strength, resumed.bypass
        record = Path(resumed.recording) if record is not None and resumed.recording else record
    profiles = _profiles(kept, resumed is not None)
    if any(profile.name == auto_enroll and _has_learnt(profile) for profile in profiles):
        click.echo(f"Nothing is added to {auto_enroll}: its personal weights fit it as it is.")
        auto_enroll = None
    if general:
        profiles = [profile.general() for profile in profiles]
    settings = targets.choose(target).settings.override(
        model=model_name, backend=backend, latency_ms=latency, strength=strength
    )
    model = settings.load_model(far_end=loopback is not None)
    if loopback is not None and not model.contract.far_end:
        click.echo(notices.no_far_end(model))
        loopback = None
    if auto_enroll is not None and not model.contract.makes_profiles:
        raise click.UsageError(
            f"{model.contract.network} makes no profiles: enroll first, or leave --auto-enroll or --loopback away."
        )
    enhancer = Enhancer(model, profiles, settings.strength, full_band=full_band)
    live = partial(
        Live,
        enhancer,
        input=source,
        output=sink,
        latency_ms=settings.latency_ms,
        channel=channel,
        on_demand=on_demand,
        loopback=loopback,
    )
    stop = threading.Event()
    stop_on_signals(stop)
    load = partial(options.load_profile, general=general)
    speaking = _speaking(enhancer, resumed is not None) if who else None
    _Run(
        enhancer, live, load, record, stop, resumed is not None, bypass, auto_enroll, names, speaking
    ).until_stopped()


def _speaking(enhancer: Enhancer, resumed: bool) -> Speaking:
    try:
        return Speaking(enhancer, None if enhancer.profiles else all_enrolled(enhancer.model))
    except ProfileError:
        if not resumed:
            raise
        return Speaking(
            enhancer, None
        )  # those whom it named are gone since, and the sound goes on all the same


def _has_learnt(profile: Profile) -> bool:
    return profile.personal is not None and profile.personal.fits(profile)


def _profiles(names: Sequence[str], resumed: bool) -> list[Profile]:
    found: list[Profile] = []
    troubles: list[ProfileError] = []
    for name in dict.fromkeys(names):
        try:
            found.append(ProfileStore().load(name))
        except ProfileError as error:
            if not resumed:
                raise
            troubles.append(error)
    # They were in use, and what is there of them since is another thing: the sound goes on all the same.
    kept = " and ".join(profile.name for profile in found) or "Every voice"
    for trouble in troubles:
        click.echo(f"{trouble} {kept} is kept.")
    return found


class _Run:
    """The stream and what is shown of it."""

    def __init__(
        self,
        enhancer: Enhancer,
        live: Callable[..., Live],
        load: Callable[[str], Profile],
        record: Path | None,
        stop: threading.Event,
        resumed: bool,
        bypass: bool,
        auto_enroll: str | None,
        given: tuple[str, ...],
        speaking: Speaking | None,
    ):
        self._stop, self._load = stop, load
        speaks = None if speaking is None else speaking.text
        self._desk = Desk(lambda: self._live, load, stop, tuple(dict.fromkeys(given)), speaks)
        self._enrollment: StreamEnrollment | None = None
        if auto_enroll is not None and not (resumed and auto_enroll in ProfileStore()):
            self._enrollment = StreamEnrollment(
                auto_enroll,
                enhancer,
                self._say,
                is_terminal(sys.stdout),
                self._microphone,
                lambda: self._live.bypass,
            )
        self._view, self._service = self._make_view(speaks), Service()
        if speaking is not None:
            self._say(f"Who speaks is a guess. {ERRORS}")
        # A service may be started before its devices are there.
        self._patient = resumed or self._service.managed
        self._recorder: Recorder | None = None
        self._recording: str | None = None
        if record is not None:
            self._recorder = Recorder(record, self._say, append=resumed)
            self._recording = str(self._recorder.path)
        self._live = live(
            say=self._say,
            on_output=self._take_output,
            on_input=self._desk.hearing.before.add,
            heartbeat=self._service.alive,
        )
        self._live.bypass = bypass
        if self._enrollment is not None:
            self._enrollment.tell_if_bypassed()

    def until_stopped(self) -> None:
        # What exists now lives to the end: without it the garbage collector never takes long.
        gc.collect()
        gc.freeze()
        # Else a thread that computes may keep the callbacks waiting for 5 ms.
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        began = time.monotonic()
        try:
            with quiet_libraries(), output.warnings_said(self._say):
                try:
                    with (
                        self._view,
                        ProfileWatch(self._live.enhancer, self._load, self._say),
                        self._controlled(),
                    ):
                        self._live.run(self._stop, patient=self._patient)
                        self._service.stopping()
                        self._say_paces()
                        self._say(self._summary(time.monotonic() - began))
                    return
                except StreamHungError:
                    self._end_recording()
                    self._prepare_replacement()
            os.execv(sys.executable, sys.orig_argv)
        finally:
            self._end_recording()

    def _take_output(self, hop: Samples, rate_hz: int) -> None:
        self._desk.hearing.after.add(hop, rate_hz)
        recorder = self._recorder
        if recorder is not None:
            recorder.add(hop, rate_hz)

    def _say_paces(self) -> None:
        source, sink = self._live.clock_ratios
        if source is not None and sink is not None:
            self._say(f"Samples against the clock: input {source:.2%}, output {sink:.2%}.")

    @contextmanager
    def _controlled(self) -> Iterator[None]:
        """By other programs, where that can be; the sound does not depend on it."""
        with ExitStack() as listening:
            try:
                listening.enter_context(ControlServer(self._desk))
            except ControlError as error:
                self._say(str(error))
            yield

    def _say(self, sentence: str) -> None:
        self._desk.note(sentence)
        self._view.say(sentence)
        self._service.status(sentence)

    def _summary(self, seconds: float) -> str:
        counters = self._live.counters
        return (
            f"Stopped after {seconds:.1f} s: {counters.hops} hops, {counters.underruns} underruns, "
            f"{counters.overruns} overruns, {counters.dropped_samples} samples dropped, "
            f"{counters.overloads} overloads, {self._live.restarts} restarts."
        )

    def _make_view(self, speaks: Callable[[], str] | None) -> View:
        if not is_terminal(sys.stdout):
            return Lines(lambda: self._live, speaks)
        keys = {
            "b": ("bypass", self._desk.toggle_bypass),
            "+": ("stronger", lambda: self._desk.change_strength(_STRENGTH_STEP)),
            "-": ("weaker", lambda: self._desk.change_strength(-_STRENGTH_STEP)),
            "p": ("next profile", self._desk.next_profile),
            "q": ("quit", self._desk.stop),
        }
        if self._enrollment is not None:
            keys["e"] = ("keep", self._enrollment.keep)
        return Screen(lambda: self._live, keys, speaks)

    def _microphone(self) -> str:
        status = self._live.status()
        return status.input if status else ""

    def _end_recording(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
            self._recording = str(self._recorder.path)
            self._recorder = None

    def _prepare_replacement(self) -> None:
        """PortAudio hangs in a thread that nothing but the end of its process ends: begin again in its place.

        A new program in the same process takes the thread away and keeps the terminal, the number that a
        service manager watches, and what the user has set. Until then the thread writes to stderr.
        """
        if self._stop.wait(_HUNG_PAUSE_S):
            os._exit(0)  # the usual way out waits for the thread that hangs
        enhancer = self._live.enhancer
        names = [profile.name for profile in enhancer.profiles]
        resuming.Resumed(names, enhancer.strength, self._live.bypass, self._recording).hand_on()
