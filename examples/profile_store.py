"""A folder of profiles: enroll a voice, list all, export one, delete it, and take it in again.

python examples/profile_store.py me.wav me voices
"""

import argparse
import sys
from pathlib import Path

import soundfile

import edge_pse


def main(recording: str, name: str, folder: str) -> None:
    """``recording``: ten seconds of one voice alone. Leaves its profile in ``folder``, and exported in this one."""
    store = edge_pse.ProfileStore(
        Path(folder)
    )  # without a folder: that of the user, as for ``edge-pse enroll``
    samples, sample_rate_hz = soundfile.read(recording)
    store.create(
        edge_pse.enroll(samples, sample_rate_hz, name=name)
    )  # ``save`` would replace one of that name
    for known in store.list():
        profile = store.load(known)
        print(
            f"{profile.name}: {profile.speech_seconds:.1f} s of speech, {profile.snr_db:.0f} dB over the noise"
        )
    exported = Path(f"{name}.exported.json")
    store.export(name, exported)  # to take it to another device
    store.delete(name)
    store.import_(exported)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording")
    parser.add_argument("name")
    parser.add_argument("folder")
    try:
        main(**vars(parser.parse_args()))
    except edge_pse.EdgePseError as error:  # as: the recording would not make a good profile, and why
        sys.exit(f"{error}")
