"""What is tried, kind by kind: each function tries one case in an empty folder and raises ``Finding`` for a fault."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from click.testing import CliRunner

from edge_pse import Enhancer, Model, PcmStream, Profile, ProfileStore
from edge_pse.audio.files import AudioReader
from edge_pse.audio.pcm import SampleFormat
from edge_pse.cli.program import commands
from edge_pse.errors import EdgePseError, EdgePseWarning
from edge_pse.model import MODELS_DIR
from edge_pse.profiles import Recording, archive
from edge_pse.profiles.encoding import encode
from edge_pse.profiles.personal import INDEX
from edge_pse.text import cleaned
from tests.edge_pse.learnt import weights_of, with_personal
from tests.fuzz import mutation

FIXTURES = Path(__file__).parents[1] / "fixtures"
MODEL = "pvqe-xs"
SPEECH = "ls367_speech.opus"


class Finding(Exception):
    """Something that must not happen."""


@cache
def speech() -> np.ndarray:
    return soundfile.read(FIXTURES / SPEECH, dtype="float32")[0]


@cache
def model() -> Model:
    return Model.load(MODEL)


def command(*arguments: object) -> bool:
    """Whether a command did what it was asked; a traceback, or a word that a terminal would obey, is a finding."""
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        last = "".join(traceback.format_exception(result.exception)[-2:])
        raise Finding(f"{' '.join(map(str, arguments[:2]))}: {last}")
    if not all(len(line) == len(cleaned(line, 4000)) for line in result.output.splitlines()):
        raise Finding(f"{arguments[:2]} lets through {result.output!r}")
    return result.exit_code == 0


def heard(samples: np.ndarray, limit: float) -> None:
    if not np.isfinite(samples).all() or (samples.size and np.abs(samples).max() > limit):
        raise Finding("what comes out is no sound")


def made(random: Random, name: str, model_id: str) -> Profile:
    numbers = np.random.default_rng(random.randrange(2**32))
    embedding = numbers.standard_normal(model().contract.profile_size)
    measures = round(random.uniform(2, 20), 2), round(random.uniform(13, 50), 1)
    return Profile(name, model_id, 2 * (Recording(embedding, embedding, *measures),))


def profiles(random: Random, folder: Path) -> bool:
    """A profile that was changed, with a checksum that fits or not: in the store, imported, and used."""
    content = encode(made(random, "anna", model().contract.profiles_of))
    if random.random() < 0.3:
        changed = mutation.of_bytes(random, content)
    else:
        fields = json.loads(content)
        for _ in range(random.choice((1, 1, 2))):
            fields = mutation.of_json(random, fields)
        if random.random() < 0.8:
            fields.pop("sha256", None)
            canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
            fields["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
        changed = json.dumps(fields).encode()
    os.environ["EDGE_PSE_HOME"] = str(folder)
    store = ProfileStore()
    store.save(made(random, "bert", "other-0123456789ab"))
    (store.root / "anna.profile.json").write_bytes(changed)
    (folder / "file").write_bytes(changed)
    command("profiles", "list")
    taken = command("profiles", "import", folder / "file", "--name", "clara")
    if command("profiles", "show", "anna") != taken:
        raise Finding("a profile is good in one place and bad in the other")
    if taken:
        profile = store.load("clara")
        if encode(store.load("anna")) != encode(dataclasses.replace(profile, name="anna")):
            raise Finding("a profile is not the same after it was imported")
        with contextlib.suppress(EdgePseError), warnings.catch_warnings():
            warnings.simplefilter("ignore", EdgePseWarning)
            heard(Enhancer(model(), profile).process(speech()[:8000]), 2.0)
    return taken


def personal(random: Random, folder: Path) -> bool:
    """Personal weights that were changed, or are any numbers: beside a profile, imported with it, and used."""
    profile = made(random, "anna", model().contract.profiles_of)
    size = len(weights_of(model()))
    weights = random.choice((weights_of(model()), random.randbytes(size), bytes(size), random.randbytes(100)))
    entries = with_personal(profile, model(), weights).personal.entries()
    if random.random() < 0.5:
        fields = mutation.of_json(random, json.loads(entries[INDEX]))
        entries[INDEX] = json.dumps(fields).encode()
    content, exported = (
        archive.pack(packed) for packed in (entries, {"profile.json": encode(profile), **entries})
    )
    if random.random() < 0.5:
        content, exported = mutation.of_bytes(random, content), mutation.of_bytes(random, exported)
    os.environ["EDGE_PSE_HOME"] = str(folder)
    store = ProfileStore()
    store.save(profile)
    (store.root / "anna.personal").write_bytes(content)
    (folder / "file").write_bytes(exported)
    taken = command("profiles", "import", folder / "file", "--name", "clara")
    if not command("profiles", "list") or not command("profiles", "show", "anna"):
        raise Finding("personal weights hide their profile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EdgePseWarning)
        for name in store.list():
            heard(Enhancer(model(), store.load(name)).process(speech()[:8000]), 20.0)
    return taken


FORMATS = (
    *(
        ("wav", "PCM_16"),
        ("wav", "FLOAT"),
        ("wav", "PCM_24"),
        ("wav", "ULAW"),
        ("flac", "PCM_16"),
        ("ogg", "VORBIS"),
    ),
    *(("mp3", "MPEG_LAYER_III"), ("aiff", "PCM_16"), ("caf", "PCM_16"), ("au", "PCM_16"), ("w64", "PCM_16")),
)


def audio(random: Random, folder: Path) -> bool:
    """A recording that was changed: read, enhanced, and enrolled from."""
    form, coding = random.choice(FORMATS)
    channels, rate = random.choice((1, 1, 2)), random.choice((8000, 16_000, 22_050, 44_100, 48_000))
    at = random.randrange(speech().size - 16_000)
    content = io.BytesIO()
    block = np.repeat(speech()[at : at + 16_000, None], channels, axis=1)
    soundfile.write(content, block, rate, format=form, subtype=coding)
    path, output = folder / f"in.{form}", folder / "out.wav"
    path.write_bytes(mutation.of_bytes(random, content.getvalue()))
    output.write_bytes(b"before")
    for source in (path, io.BytesIO(path.read_bytes())):  # the latter as it would come through a pipe
        with contextlib.suppress(EdgePseError), AudioReader(source) as reader:
            for samples in reader.blocks():
                heard(samples, np.inf)
    done = command("enhance", path, "-o", output, "--model", MODEL)
    if not done and output.read_bytes() != b"before":
        raise Finding("enhance failed and changed the output")
    os.environ["EDGE_PSE_HOME"] = str(folder)
    command("enroll", "anna", "--from", path, "--model", MODEL)
    if any(name.name.endswith(".tmp") for name in folder.rglob(".*")):
        raise Finding("a temporary file is left")
    return done


def models(random: Random, folder: Path) -> bool:
    """A model whose weights or whose description was changed; only the latter may still be run."""
    sources = [path for path in MODELS_DIR.glob("pvqe-xs.*") if path.with_name(f"{path.name}.json").exists()]
    source = random.choice(sorted(sources))
    path, description = folder / source.name, folder / f"{source.name}.json"
    fields = json.loads(source.with_name(description.name).read_text())
    weights = random.random() < 0.3
    content = source.read_bytes()
    path.write_bytes(mutation.of_bytes(random, content) if weights else content)
    if weights:
        description.write_text(json.dumps(fields))
    elif random.random() < 0.3:
        description.write_bytes(mutation.of_bytes(random, json.dumps(fields).encode()))
    else:
        description.write_text(json.dumps(mutation.of_json(random, fields)))
    try:
        loaded = Model.load(path)
        if weights and path.read_bytes() != content:
            raise Finding("changed weights were loaded")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EdgePseWarning)
            heard(Enhancer(loaded).process(speech()[:8000]), np.inf)
    except EdgePseError:
        return False
    return True


def streams(random: Random, folder: Path) -> bool:
    """Sound in blocks of odd sizes: what comes out is the same to the last bit."""
    samples = speech()[random.randrange(10_000) :][: random.randrange(1, 24_000)]
    profile = made(random, "anna", model().contract.profiles_of) if random.random() < 0.5 else None
    strength = random.choice((1.0, 1.0, 0.5))
    rate, output_rate = (random.choice((8000, 16_000, 16_000, 44_100, 48_000)) for _ in range(2))
    band = random.random() < 0.7
    once, pieces = (
        Enhancer(model(), profile, strength, rate, output_rate_hz=output_rate, full_band=band)
        for _ in range(2)
    )
    whole = np.concatenate([once.process(samples), once.flush()])
    out, at = [], 0
    while at < samples.size:
        size = random.choice((0, 1, 2, 159, 160, 161, 320, random.randrange(3000)))
        out.append(pieces.process(samples[at : at + size]))
        at += size
    if not np.array_equal(np.concatenate([*out, pieces.flush()]), whole):
        raise Finding("blocks of other sizes give other samples")
    rate = random.choice((8000, 11_025, 16_000, 44_100, 48_000))
    form = random.choice(("u8", "s16be", "s24le", "S24_LE", "f32le", "mulaw"))
    stream = PcmStream(once, rate, form)
    content = SampleFormat.named(form).encode(samples)
    whole_bytes, received, at = stream.process(content) + stream.flush(), [], 0
    while at < len(content):
        size = random.choice((0, 1, 2, 3, random.randrange(5000)))
        received.append(stream.process(content[at : at + size]))
        at += size
    if b"".join([*received, stream.flush()]) != whole_bytes or len(whole_bytes) != len(content):
        raise Finding("pieces of other sizes give other bytes")
    return True


def kills(random: Random, folder: Path) -> bool:
    """A writer that is killed: every profile is there, whole, and nothing beside them."""
    store = ProfileStore(folder / "profiles")
    old, new = made(random, "anna", "model-a"), made(random, "anna", "model-b")
    store.save(old)
    child = os.fork()
    if not child:
        try:
            while True:
                store.save(new)
                store.update("anna", lambda known: known.with_recording(known.recordings[0], "model-b"))
                store.export("anna", folder / "out")
                store.import_(folder / "out", "bert")
                store.delete("bert")
        finally:
            os._exit(1)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        raise Finding("the writer failed by itself")
    for name in store.list():
        seconds = store.load(name).recordings[0].speech_seconds
        if seconds not in (old.recordings[0].speech_seconds, new.recordings[0].speech_seconds):
            raise Finding("a profile is neither the old nor the new one")
    (folder / "out").unlink(missing_ok=True)  # another voice's would not be replaced
    store.export("anna", folder / "out")
    store.delete("anna")
    left = {path.name for path in folder.rglob("*")} - {"profiles", ".lock", "out", "bert.profile.json"}
    if left:
        raise Finding(f"left behind: {', '.join(left)}")
    return True


KINDS: dict[str, Callable[[Random, Path], bool]] = {
    "profiles": profiles,
    "personal": personal,
    "audio": audio,
    "models": models,
    "streams": streams,
    "kills": kills,
}
