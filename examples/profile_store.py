"""The profiles of this user: enroll a voice, list all, export one, delete it, and take it in again.

python examples/profile_store.py me.wav me
"""

import sys

import soundfile

import edge_pse


def main(recording: str, name: str) -> None:
    """``recording``: ten seconds of one voice alone. Leaves its profile in the store and in ``NAME.profile.json``."""
    store = edge_pse.ProfileStore()  # $EDGE_PSE_HOME/profiles, or a folder among the user's data
    samples, sample_rate_hz = soundfile.read(recording)
    store.save(edge_pse.enroll(samples, sample_rate_hz, name=name))
    for known in store.list():
        profile = store.load(known)
        print(
            f"{profile.name}: {profile.speech_seconds:.1f} s of speech, {profile.snr_db:.0f} dB over the noise"
        )
    exported = f"{name}.profile.json"
    store.export(name, exported)  # to take it to another device
    store.delete(name)
    store.import_(exported)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except edge_pse.EdgePseError as error:  # as: the recording would not make a good profile, and why
        sys.exit(f"{error}")
