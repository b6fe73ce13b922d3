"""Build the set files from the dev data: ``python -m evaluation.sets.build --data DIR``.

The same data and the same seed (`builder.SEED`) give the same files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import click

from evaluation.data import data_option, data_root
from evaluation.sets import SETS_FOLDER
from evaluation.sets.builder import CLIP_SECONDS, INDOOR_ROOMS, SetBuilder, is_adult
from evaluation.sets.corpus import Talker, read_manifest, read_noises, read_talkers, take
from evaluation.sets.full_band import full_band
from evaluation.sets.render import DEVICES, NARROW_BAND
from evaluation.sets.scene import (
    PROFILE_KINDS,
    Echo,
    Enrollment,
    Noise,
    ProfileKind,
    Scene,
    Segment,
    TalkType,
    write_scenes,
)

SEXES = ("same", "cross")
TALK_NAMES = {"st": "far-end single talk", "nst": "near-end single talk", "dt": "double talk"}
SYNTHETIC_TALK: tuple[TalkType, ...] = ("st", "nst", "dt", "dt")
LIGHT_NOISE_SNR_DB = (12.0, 25.0)


def _speaks_long(talker: Talker) -> bool:
    """Enough speech for a 20 s enrollment beside the mixtures."""
    return is_adult(talker) and sum(segment.seconds for segment in talker.enrollment) >= 20.0


def _others(build: SetBuilder, target: Talker, sexes: str, count: int = 1) -> list[Talker]:
    others: list[Talker] = []
    for _ in range(count):
        others.append(build.other_talker(target, *others, sex=target.sex, like=sexes == "same"))
    return others


def _overlap(
    build: SetBuilder, tags: dict[str, str], sir_db: float, talkers: int, noisy: bool, room: bool
) -> None:
    target = build.next_talker("target", is_adult)
    others = _others(build, target, tags["sexes"], talkers - 1)
    scene = build.talkers_scene(build.scene(tags, PROFILE_KINDS), target, others, noisy, room)
    snr_db = float(build.random.uniform(*LIGHT_NOISE_SNR_DB)) if noisy else None
    build.add(build.balance(scene, sir_db, snr_db))


def two_talkers(build: SetBuilder) -> None:
    """SIR -5..10 dB, dry and in rooms, without and with light noise, same-sex and cross-sex pairs."""
    for sir_db, room, noisy, sexes in product((-5, 0, 5, 10), (False, True), (False, True), SEXES):
        for _ in range(3):
            tags = {
                "sir": f"{sir_db} dB",
                "place": "room" if room else "dry",
                "background": "noise" if noisy else "quiet",
                "sexes": sexes,
            }
            _overlap(build, tags, sir_db, 2, noisy, room)


def three_talkers(build: SetBuilder) -> None:
    """Two others at once; the SIR is that of their sum."""
    for sir_db, noisy, sexes in product((0, 5), (False, True), SEXES):
        for _ in range(3):
            tags = {"sir": f"{sir_db} dB", "background": "noise" if noisy else "quiet", "sexes": sexes}
            _overlap(build, tags, sir_db, 3, noisy, room=False)


def _in_noise(
    build: SetBuilder, scene: Scene, snr_db: float, babble: bool = False, room: bool = False
) -> None:
    target = build.next_talker("target", lambda talker: True)
    scene = build.talkers_scene(scene, target, [], False, room)
    scene = replace(scene, noise=Noise(build.noise_source(babble).segment, 0.0))
    build.add(build.balance(scene, snr_db=snr_db))


def noise(build: SetBuilder) -> None:
    """One talker in noise at SNR -5..15 dB; a part of it cafes and crowds, a part in rooms."""
    for snr_db, number in product((-5, 0, 5, 10, 15), range(8)):
        babble, room = number % 5 == 4, number % 4 == 3
        tags = {
            "snr": f"{snr_db} dB",
            "kind": "babble" if babble else "noise",
            "place": "room" if room else "dry",
        }
        _in_noise(build, build.scene(tags, PROFILE_KINDS), snr_db, babble, room)


def interferer_only(build: SetBuilder) -> None:
    """The enrolled speaker is silent and somebody else talks: silence is the right answer."""
    _only_others(build, 24, ("right", "none"))


def _only_others(build: SetBuilder, count: int, profiles: tuple[ProfileKind, ...]) -> None:
    for number in range(count):
        sexes, noisy = SEXES[number % 2], number % 4 >= 2
        tags = {"sexes": sexes, "background": "noise" if noisy else "quiet"}
        absent = build.next_talker("target", is_adult)
        other = _others(build, absent, sexes)[0]
        scene = replace(
            build.scene(tags, profiles),
            interferers=(build.voice(other, CLIP_SECONDS, 0.0),),
            noise=Noise(build.noise_source().segment, 0.0) if noisy else None,
            right=build.enrollment(absent),
        )
        build.add(build.balance(scene, snr_db=15.0 if noisy else None))


def clean(build: SetBuilder) -> None:
    """The target alone and clean: whatever is taken away is damage."""
    _alone(build, 24, PROFILE_KINDS)


def _alone(build: SetBuilder, count: int, profiles: tuple[ProfileKind, ...]) -> None:
    for _ in range(count):
        target = build.next_talker("target", lambda talker: True)
        scene = build.scene({"corpus": target.corpus}, profiles)
        build.add(build.balance(build.talkers_scene(scene, target, [], False, False)))


def target_late(build: SetBuilder) -> None:
    """Somebody else talks all the time; the target comes in half way and must come through at once."""
    for number in range(16):
        sexes, noisy = SEXES[number % 2], number % 4 >= 2
        tags = {"sexes": sexes, "background": "noise" if noisy else "quiet"}
        target = build.next_talker("target", is_adult)
        scene = build.scene(tags, ("right", "none"), seconds=10.0)
        scene = build.talkers_scene(scene, target, _others(build, target, sexes), noisy, False)
        scene = replace(scene, target=build.voice(target, 5.0, 5.0))
        build.add(build.balance(scene, sir_db=5.0, snr_db=18.0 if noisy else None))


def narrow_band(build: SetBuilder) -> None:
    """Half of the band: enrolled through a microphone that keeps all of it, heard through one that does not, and the
    other way round. It is still the same voice.
    """
    bands: dict[str, str | None] = {"whole": None, "half": NARROW_BAND}
    for (heard, device), (enrolled, through) in product(bands.items(), bands.items()):
        if heard == enrolled == "whole":
            continue  # what all other sets ask
        for situation, number in (*product(["alone"], range(10)), *product(["two talkers"], range(10))):
            target = build.next_talker("target", is_adult)
            others = _others(build, target, SEXES[number % 2]) if situation == "two talkers" else []
            tags = {"situation": situation, "band": f"{heard} after {enrolled}"}
            scene = build.talkers_scene(
                replace(build.scene(tags, PROFILE_KINDS), device=device), target, others, bool(others), False
            )
            scene = build.balance(scene, sir_db=0.0, snr_db=20.0)
            assert scene.right is not None
            build.add(replace(scene, right=replace(scene.right, device=through)))


def _enrollment_variants(build: SetBuilder, base: Enrollment, target: Talker) -> dict[str, Enrollment]:
    variants = {f"{seconds} s": build.enrollment(target, seconds) for seconds in (1, 2, 5, 10, 20)}
    device = sorted(DEVICES)[int(build.random.integers(len(DEVICES)))]
    variants["other room"] = replace(base, room=build.room())
    variants["other microphone"] = replace(base, device=device)
    variants["other room and microphone"] = replace(base, room=build.room(), device=device)
    for snr_db in (20, 10, 5):
        variants[f"{snr_db} dB SNR"] = build.noisy_enrollment(base, snr_db)
    return variants


def enrollment(build: SetBuilder) -> None:
    """The same twelve mixtures after enrollments of 1..20 s, from elsewhere, and in noise."""
    for number in range(12):
        target = build.next_talker("target", _speaks_long)
        others = _others(build, target, SEXES[number % 2])
        mixture = build.talkers_scene(build.scene({}, ("right",)), target, others, True, False)
        mixture = build.balance(mixture, sir_db=0.0, snr_db=20.0)
        assert mixture.right is not None
        for label, right in _enrollment_variants(build, mixture.right, target).items():
            named = build.scene({"enrollment": label}, ("right",))
            build.add(replace(mixture, name=named.name, tags=named.tags, right=right))


def voices(build: SetBuilder) -> None:
    """Children and non-native adults: talking over an adult, in noise, and alone."""
    groups: dict[str, Callable[[Talker], bool]] = {
        "child": lambda talker: talker.corpus == "speechocean762" and talker.is_child,
        "non-native": lambda talker: talker.corpus == "speechocean762" and not talker.is_child,
    }
    for (group, accepts), situation in product(groups.items(), ("two talkers", "noise", "clean")):
        for _ in range(6):
            target = build.next_talker(group, accepts)
            others = [build.other_talker(target)] if situation == "two talkers" else []
            scene = build.scene({"voice": group, "situation": situation}, PROFILE_KINDS)
            scene = build.talkers_scene(scene, target, others, situation != "clean", False)
            build.add(build.balance(scene, sir_db=0.0, snr_db=5.0 if situation == "noise" else 20.0))


def voicebank(build: SetBuilder) -> None:
    """The VoiceBank-DEMAND pairs at hand; profiles come from the same speaker's other clean recordings."""
    rows = {(row["pair"], row["role"]): row for row in read_manifest(build.root, "pairs")}
    for pair in sorted({pair for pair, _ in rows}):
        clean_row, noisy_row = rows[pair, "clean"], rows[pair, "noisy"]
        speaker = pair.split("_")[0]
        own = tuple(
            Segment(row["path"], 0.0, row["seconds"])
            for (other, role), row in sorted(rows.items())
            if role == "clean" and other != pair and other.startswith(speaker + "_")
        )
        seconds = min(clean_row["seconds"], noisy_row["seconds"])
        build.add(
            Scene(
                f"voicebank_{pair}",
                build.name,
                seconds,
                {"speaker": speaker},
                ("right", "none"),
                right=Enrollment(speaker, take(own, 10.0)),
                recording=Segment(noisy_row["path"], 0.0, seconds),
                reference=Segment(clean_row["path"], 0.0, seconds),
            )
        )


def echo(build: SetBuilder) -> None:
    """Real recordings of the AEC challenge, and synthetic echo with a known near end."""
    talk_types: dict[str, TalkType] = {"farend_singletalk": "st", "nearend_singletalk": "nst"}
    rows = {(row["pair"], row["role"]): row for row in read_manifest(build.root, "echo")}
    for pair in sorted({pair for pair, _ in rows}):
        microphone, loopback = rows[pair, "mic"], rows[pair, "lpb"]
        seconds = min(microphone["seconds"], loopback["seconds"])
        talk_type = talk_types.get(microphone["scenario"], "dt")
        far = Echo((Segment(loopback["path"], 0.0, seconds),), talk_type=talk_type)
        tags = {"source": "real", "talk": TALK_NAMES[talk_type]}
        recording = Segment(microphone["path"], 0.0, seconds)
        build.add(Scene(f"echo_{pair}", build.name, seconds, tags, ("none",), echo=far, recording=recording))
    for number in range(12):
        build.add(_synthetic_echo(build, SYNTHETIC_TALK[number % 4], INDOOR_ROOMS[number % 6]))


def _synthetic_echo(build: SetBuilder, talk_type: TalkType, room: str) -> Scene:
    """10 s with slight noise; the near end starts at 4 s, when a canceller has had time to converge."""
    near, far = build.next_talker("near", is_adult), build.next_talker("far", is_adult)
    scene = build.scene({"source": "synthetic", "talk": TALK_NAMES[talk_type]}, ("none",), seconds=10.0)
    if talk_type != "st":
        scene = replace(scene, target=build.voice(near, 6.0, 4.0))
    scene = build.balance(replace(scene, noise=Noise(build.noise_source().segment, 0.0)), snr_db=30.0)
    if talk_type == "nst":
        # Loopbacks of calls are never digital silence: what is left is far below any noise.
        hiss = build.voice(far, scene.seconds, 0.0).segments
        return replace(scene, echo=Echo(hiss, gain_db=-80.0, talk_type="nst"))
    return build.with_echo(scene, far, talk_type, room)


def quick(build: SetBuilder) -> None:
    """The questions that training asks, small: each scene carries the name of the set that it stands for."""
    build.set_name = "two-talkers"
    for number in range(24):
        tags = {"sir": "0 dB", "place": "dry", "background": "noise", "sexes": SEXES[number % 2]}
        _overlap(build, tags, 0.0, 2, noisy=True, room=False)
    build.set_name = "noise"
    for _ in range(12):
        tags = {"snr": "5 dB", "kind": "noise", "place": "dry"}
        _in_noise(build, build.scene(tags, ("right", "none")), 5.0)
    build.set_name = "interferer-only"
    _only_others(build, 12, ("right",))
    build.set_name = "clean"
    _alone(build, 8, ("right",))


SETS: dict[str, Callable[[SetBuilder], None]] = {
    "two-talkers": two_talkers,
    "three-talkers": three_talkers,
    "noise": noise,
    "voicebank": voicebank,
    "interferer-only": interferer_only,
    "clean": clean,
    "target-late": target_late,
    "narrow-band": narrow_band,
    "enrollment": enrollment,
    "voices": voices,
    "echo": echo,
    "full-band": full_band,
    "quick": quick,
}


@click.command()
@data_option
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=SETS_FOLDER, show_default=True
)
def main(data: Path | None, out: Path) -> None:
    """Build every set file from the dev manifests of the evaluation data."""
    try:
        root = data_root(data)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    talkers, noises = read_talkers(root), read_noises(root)
    for name, recipe in SETS.items():
        build = SetBuilder(name, root, talkers, noises)
        recipe(build)
        write_scenes(out / f"{name}.jsonl", build.scenes)
        click.echo(
            f"{name}: {len(build.scenes)} scenes, {sum(scene.seconds for scene in build.scenes):.0f} s"
        )


if __name__ == "__main__":
    main()
