"""Cards and devices of the test's making; the real ones are in ``tests/edge_pse/audio/test_doctor.py``."""

import os
import tempfile
from pathlib import Path

import pytest

from edge_pse.diagnosis import sound

USB = " 1 [Device         ]: USB-Audio - USB PnP Sound Device\n                      C-Media at usb-1.2\n"
HDMI = " 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi\n                      vc4-hdmi\n"
PLAYS = "00-00: MAI PCM i2s-hifi-0 :  : playback 1\n"
RECORDS = "01-00: USB Audio : USB Audio : playback 1 : capture 1\n"


@pytest.mark.parametrize(
    ("cards", "pcms", "status", "words"),
    [
        (HDMI + USB, PLAYS + RECORDS, "ok", "vc4-hdmi, USB PnP Sound Device"),
        (HDMI, PLAYS, "warn", "No card can record: vc4-hdmi"),
        ("--- no soundcards ---\n", "", "warn", "knows no sound card"),
        (None, None, "warn", "knows no sound card"),
    ],
)
def test_cards_that_can_record(tmp_path, cards, pcms, status, words):
    (tmp_path / "proc").mkdir()
    if cards is not None:
        (tmp_path / "proc/asound").mkdir()
        (tmp_path / "proc/asound/cards").write_text(cards)
        (tmp_path / "proc/asound/pcm").write_text(pcms)
    found = sound.cards(tmp_path)
    assert found.status == status
    assert words in found.sentence


def test_without_proc_no_card_is_denied(tmp_path):
    found = sound.cards(tmp_path)
    assert found.status == "warn"
    assert "There is no /proc" in found.sentence


def test_devices_that_this_user_may_not_open():
    with tempfile.TemporaryDirectory() as directory:  # pytest's are closed to other users
        root = Path(directory)
        root.chmod(0o755)
        assert sound.access(root).status == "ok"
        node = root / "dev/snd/pcmC1D0c"
        node.parent.mkdir(parents=True)
        node.touch(0o660)
        assert sound.access(root).status == "ok"
        somebody = 65534 if os.geteuid() == 0 else os.geteuid()
        if somebody == os.geteuid():
            node.chmod(0o000)
        before = os.geteuid()
        os.seteuid(somebody)
        try:
            found = sound.access(root)
        finally:
            os.seteuid(before)
        assert found.status == "fail"
        assert str(node) in found.sentence
        assert "audio" in found.advice
