"""The figures that README, results page and model cards show: one committed file, written by the evaluation.

``python -m evaluation ... --publish`` puts what it measured there, in the place of what was known of the same systems
on the same sets; ``python -m evaluation.tables`` writes the documents from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path

from evaluation.cost import Cost
from evaluation.metrics.statistics import Summary, summarise
from evaluation.results import Row, SystemResult
from evaluation.sets.scene import PROFILE_KINDS, ProfileKind
from evaluation.summary import (
    CONDITION_METRICS,
    SET_METRICS,
    conditioning_gaps,
    conditions,
    over,
    pooled_suppression,
    select,
    sets_of,
)

PUBLISHED = Path(__file__).parent / "results.json"
SCHEMA_VERSION = 1
GAP = "gap_db"
"""SI-SDR with the right profile minus that with the wrong one."""
POOLED = "suppression_pooled_db"
DIGITS = 5
_LIST_OF_NUMBERS = re.compile(r"\[[-+.,e\d\s]+\]")
_BROKEN_DOWN = ("wrong_talker", "aecmos_echo", "aecmos_degradation", "si_sdr", "pesq")
"""Published by condition in every set, beside what the report breaks down."""


@dataclass(frozen=True)
class Run:
    """How a system's figures on a set came about."""

    command: str
    about: str
    """What the system said of itself: of a model its network, precision and id."""


@dataclass(frozen=True)
class Int8File:
    """What an int8 model file costs in one runtime, against the fp32 file of its format there."""

    file: str
    runtime: str
    model_id: str
    size_mb: float
    frame_ms: float
    """Median time of a frame, in turns with the fp32 file."""
    fp32_frame_ms: float
    snr_db: float
    """Of the output against that of fp32, over all mixtures."""
    median_snr_db: float
    """The same of each mixture for itself, their median."""
    worst_cosine: float | None
    """Between the profiles that both make of the same recording; None where another network makes them."""
    si_sdr_gain_loss_db: float | None = None
    """Mean over the mixtures, each precision with its own profiles; None where it was not measured."""
    pesq_loss: float | None = None
    """The same in PESQ-WB."""


@dataclass(frozen=True)
class FileCost:
    """What two minutes of sound cost ``edge-pse enhance`` with some options."""

    options: str
    """Empty: none."""
    cpu_s: float
    """Of the whole process, user and system."""
    peak_rss_mb: float
    """Of the whole process, interpreter included."""


@dataclass(frozen=True)
class StudyTable:
    """A table of a study as it is shown."""

    command: str
    about: str
    """The id of the model that was studied, or what was in its place."""
    header: list[str]
    rows: list[list[str]]


@dataclass
class Published:
    """Everything that is published: summaries, costs, what int8 loses, tables of studies, and how they came about."""

    summaries: dict[tuple[str, str], dict[str, Summary]] = field(default_factory=dict)
    """By (system, set), then by `key`."""
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    cost_command: str = ""
    int8: list[Int8File] = field(default_factory=list)
    int8_command: str = ""
    files: list[FileCost] = field(default_factory=list)
    files_command: str = ""
    studies: dict[str, StudyTable] = field(default_factory=dict)
    """By name, as documents ask for them."""

    @classmethod
    def load(cls, path: Path = PUBLISHED) -> Published:
        """Read the file. Raises ValueError when it is not one, OSError when it can't be read."""
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"{path} has another schema than {SCHEMA_VERSION}: publish the results again.")
        found = cls(cost_command=content["cost"]["command"])
        for entry in content["results"]:
            place = entry["system"], entry["set"]
            found.runs[place] = Run(entry["command"], entry["about"])
            found.summaries[place] = {key: Summary(*values) for key, values in entry["values"].items()}
        found.costs = {cost["system"]: Cost(**cost) for cost in content["cost"]["systems"]}
        found.int8 = [Int8File(**file) for file in content["int8"]["files"]]
        found.int8_command = content["int8"]["command"]
        found.files = [FileCost(**file) for file in content["files"]["costs"]]
        found.files_command = content["files"]["command"]
        found.studies = {name: StudyTable(**study) for name, study in content["studies"].items()}
        return found

    def add(self, results: list[SystemResult], costs: list[Cost], command: str) -> None:
        """Take in a run in the place of what was there of the same systems on the same sets."""
        for result in results:
            for set_name in sets_of([result]):
                place = result.name, set_name
                self.summaries[place] = dict(_summaries(result, set_name))
                self.runs[place] = Run(command, result.info.description)
        if costs:
            self.costs = {cost.system: cost for cost in costs}
            self.cost_command = command

    def add_int8(self, files: list[Int8File], command: str) -> None:
        """Take in what was measured of int8 files, in the place of what was known of them in the same runtimes."""
        by_place = {(file.file, file.runtime): file for file in [*self.int8, *files]}
        self.int8 = sorted(by_place.values(), key=lambda file: (file.file.partition(".")[0], file.runtime))
        self.int8_command = command

    def find(
        self,
        system: str,
        set_name: str,
        metric: str,
        profile: ProfileKind | None = None,
        tags: dict[str, str] | None = None,
    ) -> Summary | None:
        """A summary with that profile, or with the system's main one, over the clips with these tags; None if none."""
        known = self.summaries.get((system, set_name), {})
        kinds = [profile] if profile else ["right", "none"]
        return next((known[at] for kind in kinds if (at := key(kind, metric, tags or {})) in known), None)

    def write(self, path: Path = PUBLISHED) -> None:
        """Write the file, a line for each summary, so that a change of one figure is a change of one line."""
        results = [
            {
                "system": place[0],
                "set": place[1],
                **asdict(self.runs[place]),
                "values": {at: _rounded(summary) for at, summary in sorted(summaries.items())},
            }
            for place, summaries in sorted(self.summaries.items())
        ]
        cost = {"command": self.cost_command, "systems": [cost.to_dict() for cost in self.costs.values()]}
        int8 = {"command": self.int8_command, "files": [_rounded_fields(file) for file in self.int8]}
        files = {"command": self.files_command, "costs": [_rounded_fields(file) for file in self.files]}
        content = {
            "schema_version": SCHEMA_VERSION,
            "cost": cost,
            "files": files,
            "int8": int8,
            "studies": {name: asdict(study) for name, study in sorted(self.studies.items())},
            "results": results,
        }
        text = json.dumps(content, ensure_ascii=False, indent=1)
        path.write_text(_LIST_OF_NUMBERS.sub(_on_one_line, text) + "\n", encoding="utf-8")


def key(profile: str, metric: str, tags: dict[str, str]) -> str:
    """Names a summary of a system on a set: 'right si_sdr_gain sexes=same sir=0 dB'."""
    return " ".join([profile, metric, *(f"{name}={value}" for name, value in sorted(tags.items()))])


_CONDITIONS = ("sir", "sexes", "band", "situation", "source", "talk", "noise")
_PAIRS_OF_CONDITIONS = (("sir", "sexes"), ("band", "situation"), ("source", "talk"))


def _summaries(result: SystemResult, set_name: str) -> Iterator[tuple[str, Summary]]:
    """All that is published of a system on a set: every metric of it, and by condition what tables break down."""
    values = conditions([result], set_name)
    by_condition = [{name: value} for name in _CONDITIONS for value in values.get(name, ())]
    for pair in _PAIRS_OF_CONDITIONS:
        if values.keys() >= set(pair):
            by_condition += [
                dict(zip(pair, both, strict=True)) for both in product(*(values[name] for name in pair))
            ]
    broken_down = {*CONDITION_METRICS.get(set_name, SET_METRICS[set_name][:1]), *_BROKEN_DOWN}
    for profile in PROFILE_KINDS:
        for tags in [{}, *by_condition]:
            rows = select(result.rows, set_name, profile, **tags)
            for metric in SET_METRICS[set_name]:
                if (not tags or metric in broken_down) and (summary := over(rows, metric)):
                    yield key(profile, metric, tags), summary
            if not tags and (pooled := _pooled(rows)):
                yield key(profile, POOLED, tags), pooled
    if set_name == "two-talkers":
        for tags in [{}, *({"sexes": sexes} for sexes in values.get("sexes", ()))]:
            if gap := summarise(conditioning_gaps(result, **tags)):
                yield key("right", GAP, tags), gap


def _pooled(rows: list[Row]) -> Summary | None:
    """Energies of all clips as one: no mean, so no interval."""
    value = pooled_suppression(rows)
    return None if value is None else Summary(len(rows), value, value, value, value)


def _on_one_line(found: re.Match[str]) -> str:
    return "[" + " ".join(found.group()[1:-1].split()) + "]"


def _rounded(summary: Summary) -> list[float]:
    count, *values = asdict(summary).values()
    return [count, *(float(f"{value:.{DIGITS}g}") for value in values)]


def _rounded_fields(file: Int8File | FileCost) -> dict[str, object]:
    values = asdict(file)
    return {
        name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()
    }


def publish_tables(tables: dict[str, StudyTable], path: Path = PUBLISHED) -> None:
    """Put tables of studies, by name, among what is published in a file."""
    found = Published.load(path)
    found.studies |= tables
    found.write(path)
