"""The panel from beginning to end, as a person with a phone uses it: ``make test-panel``.

A real browser, a real PulseAudio whose microphone hears real voices, and what other programs hear at the virtual
microphone. With ``EDGE_PSE_PICTURES`` the pictures of the guide go to that folder.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soxr

from edge_pse.audio.devices.virtual_mic import SOURCE
from edge_pse.audio.pcm import to_pcm
from tests.edge_pse.audio.on_the_panel import Elsewhere, Panel, without_names
from tests.edge_pse.audio.running import COMMAND

LEAST_DB_AWAY, MOST_DB_LOST = 10, 4
LEAST_HEARD_S = 8
PICTURES = os.environ.get("EDGE_PSE_PICTURES")


@pytest.fixture
def env(sound_server, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "journalctl"):  # no service of whoever runs this
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    yield {**sound_server.env, "PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    subprocess.run([*COMMAND, "ctl", "stop"], env=sound_server.env, capture_output=True)


def level_db(samples):
    return 10 * np.log10(np.mean(samples.astype(float) ** 2) + 1e-3)


class Person:
    """Looks at a page, and does what it says."""

    def __init__(self, page, sound_server):
        self.page, self.server = page, sound_server

    def sees(self, text, where="#summary", seconds=30):
        found = self.page.locator(where).filter(has_text=re.compile(text)).first
        try:
            found.wait_for(timeout=1000 * seconds)
        except Exception as error:
            raise AssertionError(self.page.inner_text("body")) from error

    @staticmethod
    def waits_until(what, seconds=30):
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until
            time.sleep(0.2)

    def picture(self, name):
        if PICTURES:
            self.page.screenshot(path=Path(PICTURES) / f"panel-{name}.png")

    def hears_db(self, voice, seconds=5):
        """Level of what others hear while a voice speaks."""
        player = self.server.play(voice)
        time.sleep(1)
        try:
            return level_db(self.server.record(SOURCE, seconds))
        finally:
            player.kill()
            player.wait()


def test_from_installed_to_only_i_am_heard(sound_server, env, start_command, open_page, recording, full_band):
    # Two that the network tells apart well: how well it does in general is the evaluation's matter.
    mine, other = recording("ls367_speech"), soxr.resample(full_band("msc4g8_speech"), 48_000, 16_000)
    other = other * np.float32(np.sqrt(np.mean(mine**2) / np.mean(other**2)))
    mine, other = np.tile(to_pcm(mine), 4), np.tile(to_pcm(other), 4)
    panel = Panel(start_command, env)
    panel.enter()
    asked = []
    page = open_page(panel.link, viewport={"width": 360, "height": 640}, device_scale_factor=1)
    page.on("request", lambda request: asked.append(request.url))
    person = Person(page, sound_server)
    person.sees("No stream runs")
    assert "#" not in page.url and panel.token not in page.content()

    # The microphone, by its level.
    page.locator("#input option[value='desk']").wait_for(state="attached")
    player = sound_server.play(mine)
    page.get_by_role("button", name="Show their levels").click()
    person.waits_until(
        lambda: page.locator("#device-levels meter").evaluate_all("all => all.some(one => one.value > -45)")
    )
    page.get_by_role("button", name="Close the microphones").click()
    player.kill()
    page.get_by_label("Microphone", exact=True).select_option("desk")
    page.get_by_label("always").check()

    # The voice, read aloud.
    player = sound_server.play(np.tile(to_pcm(recording("ls367_enrollment")), 4))
    page.get_by_label("Name", exact=True).fill("me")
    page.get_by_role("button", name="Listen to me").click()
    person.sees("s to go", "#enroll-left", 60)
    person.sees("Good, go on|Read on", "#advice")
    page.locator("#enroll-progress").evaluate("one => one.scrollIntoView({block: 'end'})")
    person.picture("enroll")
    person.sees("Enrolled me.*Trust: ", "#enrolled", 60)
    player.kill()

    # Only that one is heard.
    page.get_by_role("button", name="Start").click()
    person.sees("Only me is heard", seconds=60)
    mine_db, other_db = person.hears_db(mine), person.hears_db(other)
    assert other_db < mine_db - LEAST_DB_AWAY, (mine_db, other_db)

    # How much, by the keyboard.
    page.locator("#strength").focus()
    page.keyboard.press("Home")
    person.sees("^0 %", "#strength-text")
    all_db = person.hears_db(other)
    assert all_db > other_db + LEAST_DB_AWAY and abs(all_db - mine_db) < MOST_DB_LOST, (all_db, mine_db)
    page.keyboard.press("End")
    person.sees("^100 %", "#strength-text")

    # Before and after, and no sound before that click.
    assert not any("heard" in url for url in asked)
    player = sound_server.play(np.tile(np.concatenate([mine[: 3 * 16_000], other[: 3 * 16_000]]), 6))
    page.get_by_role("button", name="Send me ten seconds of sound").click()
    page.locator("#heard:not([hidden])").wait_for(timeout=30_000)
    player.kill()
    for which in ("before", "after"):
        sound = page.locator(f"#{which}-sound")
        person.waits_until(lambda sound=sound: (sound.evaluate("one => one.duration") or 0) > LEAST_HEARD_S)
    colours = "one => new Set(one.getContext('2d').getImageData(0, 0, one.width, one.height).data).size"
    assert page.locator("#before-picture").evaluate(colours) > 50
    page.locator("#heard").evaluate("one => one.scrollIntoView({block: 'end'})")
    person.picture("hear")
    page.get_by_role("button", name="Forget it").click()
    assert page.locator("#before-sound").get_attribute("src") is None

    # At a glance.
    player = sound_server.play(mine)
    page.set_viewport_size({"width": 360, "height": 640})
    page.evaluate("scrollTo(0, 0)")
    person.waits_until(lambda: page.locator("#input-level").evaluate("one => one.value > -45"))
    person.picture("stream")
    player.kill()

    # A page that hears it and is closed.
    second = page.context.new_page()
    second.goto(panel.origin)
    second.get_by_role("button", name="Send me ten seconds of sound").click()
    second.locator("#hear-state").filter(has_text="Speak").wait_for()
    assert panel.ask("state")["heard_s"] is not None
    second.goto("about:blank")
    second.close()
    panel.wait_for(lambda state: state["heard_s"] is None, 10)

    # Two pages, and a reload.
    second = page.context.new_page()
    second.goto(panel.origin)
    second.locator("#main:not([hidden])").wait_for()
    second.get_by_label("Let the sound pass as it is").check()
    person.sees("The sound passes as it is")
    page.reload()
    person.sees("The sound passes as it is")
    page.get_by_label("Let the sound pass as it is").uncheck()
    second.locator("#summary").filter(has_text="Only me is heard").wait_for()
    second.close()

    # The microphone is unplugged and comes back.
    sound_server.unplug()
    person.sees("waits for its devices")
    person.sees("waiting|wait|lost|gone", "#sentences li")
    sound_server.plug_in()
    person.sees("Only me is heard", seconds=60)

    # Ended and started anew beneath it.
    subprocess.run([*COMMAND, "ctl", "stop"], env=env, check=True, timeout=30)
    person.sees("No stream runs")
    again = start_command("run", "--input", "desk", "--output", "virtual", "--profile", "me", env=env)
    again.wait_for("Running", 60)
    person.sees("Only me is heard")
    panel.command.process.terminate()
    person.sees("The panel does not answer")
    assert panel.command.process.wait(10) == 0
    panel = Panel(start_command, env, at=panel.port)
    person.sees("Only me is heard")

    # A site of somebody else, in the same browser.
    for host in ("127.0.0.1", "localhost"):
        elsewhere = Elsewhere(panel.origin)
        visited = page.context.new_page()
        visited.goto(f"http://{host}:{elsewhere.server_port}/")
        visited.locator("body.done").wait_for(state="attached")
        results = visited.evaluate("window.results")
        assert set(results.values()) <= {"refused", "opaque", "kept out"}, results
        assert results["read cors"] == results["set cors"] == results["key"] == "refused"
        visited.close()
        elsewhere.shutdown()
    person.sees("Only me is heard")

    # Its shape.
    assert all(url.startswith((panel.origin, "blob:")) for url in asked), asked
    assert without_names(page) == []
    for width in (320, 1200):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Stop").click()
    person.sees("No stream runs")
    assert again.process.wait(20) == 0
