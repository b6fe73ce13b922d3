"""Running systems over scenes, in order, on a few worker processes; a failure becomes a row with a reason."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.data import DataError
from evaluation.metrics.signal import SAMPLE_RATE_HZ
from evaluation.results import Row, SystemResult
from evaluation.scoring import Depth, score
from evaluation.sets import FULL_BAND_CLEAN
from evaluation.sets.render import Clip, render
from evaluation.sets.scene import ProfileKind, Scene
from evaluation.systems.process import ONE_THREAD
from evaluation.systems.running import RunningSystem
from evaluation.systems.spec import SHARED_PROFILES_VARIABLE, SystemFailure, SystemInfo, SystemSpec

PROBE_COUNT = 3


@dataclass(frozen=True)
class _Order:
    """What a worker must know about the system of a task."""

    spec: SystemSpec
    delays_samples: dict[int, float]
    uses_profile: bool
    dnsmos: bool

    def profiles(self, scene: Scene) -> tuple[ProfileKind, ...]:
        """A system without profiles runs once, as 'none'."""
        return scene.profiles if self.uses_profile else ("none",)

    def depth(self, scene: Scene, profile: ProfileKind) -> Depth:
        """Dear scores where they are looked at: all of them for the profile that counts, fewer for none."""
        if profile == "wrong":
            return "signal"
        counts = profile == "right" or "right" not in self.profiles(scene)
        if self.dnsmos:
            return "full" if counts else "pesq"
        return "pesq" if counts else "signal"


class _Worker:
    """The state of one pool process: the data root and the one system that is open."""

    root: Path
    system: RunningSystem | None = None

    @classmethod
    def open(cls, spec: SystemSpec) -> RunningSystem:
        if cls.system is None or cls.system.spec != spec:
            if cls.system is not None:
                cls.system.close()
                cls.system = None
            cls.system = RunningSystem(spec)
        return cls.system


def _start_worker(root: Path) -> None:
    _Worker.root = root
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker of a run that was killed would otherwise wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _probe(spec: SystemSpec, scenes: dict[int, list[Scene]]) -> tuple[SystemInfo, dict[int, float]]:
    """What a system says of itself, and its delay in samples at each rate, from some scenes of that."""
    system = _Worker.open(spec)
    delays = {}
    for rate_hz, some in scenes.items():
        if rate_hz == SAMPLE_RATE_HZ or system.info.full_band:
            delays[rate_hz] = system.measure_delay(_references(some), rate_hz)
    return system.info, delays


def _references(scenes: list[Scene]) -> list[np.ndarray]:
    references = []
    for scene in scenes:
        try:
            reference = render(scene, _Worker.root).reference
        except DataError:
            continue  # the clip's own row will say so
        if reference is not None:
            references.append(reference)
    return references


def _score_scene(order: _Order, scene: Scene) -> list[Row]:
    """The rows of one scene, one per profile."""
    try:
        clip = render(scene, _Worker.root)
    except DataError as error:
        return [_row(order, scene, profile, {}, [str(error)]) for profile in order.profiles(scene)]
    rows = []
    for profile in order.profiles(scene):
        try:
            output = _enhanced(order, clip, profile)
            scores = score(clip, output, order.depth(scene, profile))
            rows.append(_row(order, scene, profile, scores.metrics, scores.reasons))
        except (SystemFailure, DataError) as error:
            rows.append(_row(order, scene, profile, {}, [str(error)]))
    return rows


def _enhanced(order: _Order, clip: Clip, profile: ProfileKind) -> np.ndarray:
    return _Worker.open(order.spec).enhance(clip, profile, order.delays_samples[clip.scene.rate_hz])


def _row(
    order: _Order, scene: Scene, profile: ProfileKind, metrics: dict[str, float], reasons: list[str]
) -> Row:
    reason = "; ".join(reasons) or None
    return Row(order.spec.name, scene.set, scene.name, profile, scene.tags, metrics, reason)


def _listen(order: _Order, scene: Scene, profile: ProfileKind) -> tuple[Clip, np.ndarray] | None:
    try:
        clip = render(scene, _Worker.root)
        return clip, _enhanced(order, clip, profile)
    except (SystemFailure, DataError):
        return None


@dataclass(frozen=True)
class Listening:
    """Clips of one system to listen to."""

    system: str
    clips: dict[str, tuple[Clip, np.ndarray]]
    """Rendered clip and aligned output, by the name of the clip."""


class Evaluation:
    """A pool of worker processes that score systems on scenes. Use as a context manager.

    `root`: the data folder; `dnsmos`: with the dearest of the scores or without.
    """

    def __init__(self, root: Path, scenes: list[Scene], jobs: int, dnsmos: bool = True) -> None:
        self.scenes = scenes
        self._dnsmos = dnsmos
        # For the workers that are started below: on short clips, threads of a numerical library cost more than they
        # give, and the workers would fight over the cores.
        os.environ.update(ONE_THREAD)
        self._profiles = tempfile.TemporaryDirectory(prefix="evaluation-profiles-")
        os.environ[SHARED_PROFILES_VARIABLE] = self._profiles.name
        self._pool = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(root,)
        )

    def __enter__(self) -> Evaluation:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        os.environ.pop(SHARED_PROFILES_VARIABLE, None)
        self._profiles.cleanup()

    def run(self, spec: SystemSpec, advance: Callable[[int], None] = lambda scenes: None) -> SystemResult:
        """Score one system on every scene that it can take part in; `advance` hears of each scene done."""
        result = SystemResult(spec)
        try:
            probed = self._pool.submit(_probe, spec, self._probe_scenes())
            result.info, result.delays_samples = probed.result()
        except SystemFailure as error:
            result.reason = str(error)
            return result
        scenes = [scene for scene in self.scenes if _takes_part(result, scene)]
        futures = [self._pool.submit(_score_scene, self._order(result), scene) for scene in scenes]
        for future in futures:
            result.rows.extend(future.result())
            advance(1)
        return result

    def listen(self, result: SystemResult, rows: list[Row]) -> Listening:
        """The sound behind some rows of a system, as far as it works a second time."""
        scenes = {scene.name: scene for scene in self.scenes}
        order = self._order(result)
        futures = [self._pool.submit(_listen, order, scenes[row.clip], row.profile) for row in rows]
        heard = [pair for future in futures if (pair := future.result()) is not None]
        return Listening(result.name, {clip.scene.name: (clip, output) for clip, output in heard})

    def _order(self, result: SystemResult) -> _Order:
        return _Order(result.spec, result.delays_samples, result.info.uses_profile, self._dnsmos)

    def _probe_scenes(self) -> dict[int, list[Scene]]:
        """A few scenes with a reference of each rate, those of clean speech first."""
        known = [scene for scene in self.scenes if scene.reference or scene.target]
        known.sort(key=lambda scene: scene.set not in ("clean", FULL_BAND_CLEAN))
        rates = sorted({scene.rate_hz for scene in self.scenes})
        return {rate: [scene for scene in known if scene.rate_hz == rate][:PROBE_COUNT] for rate in rates}


def _takes_part(result: SystemResult, scene: Scene) -> bool:
    """Echo cancellers need an echo; what has no full band has nothing to say of it, and a model without what is above
    8 kHz nothing new of other scenes.
    """
    if result.info.needs_far_end and not scene.echo:
        return False
    return result.spec.full_band if scene.rate_hz == SAMPLE_RATE_HZ else result.info.full_band
