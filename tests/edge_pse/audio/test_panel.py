"""``edge-pse panel`` as a browser meets it, with streams between simulated cards that it starts and ends."""

import base64
import dataclasses
import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_pse import ProfileStore
from edge_pse.audio.pcm import to_pcm
from tests.edge_pse.audio.on_the_panel import Elsewhere, Panel, without_names
from tests.edge_pse.audio.running import COMMAND

pytest.importorskip("uvicorn", reason="the panel needs: pip install starlette uvicorn")

MOST_RESIDENT_MB = 60


@pytest.fixture(scope="module")
def env(cards, tmp_path_factory, speech_pcm, recording, female_profile, male_profile):
    folder = tmp_path_factory.mktemp("panel")
    np.resize(to_pcm(recording("ls3080_enrollment")), 60 * 16_000).tofile(folder / "carl.raw")
    np.resize(speech_pcm, 120 * 16_000).tofile(folder / "mic.raw")
    env = cards(
        folder,
        mic=f'infile "{folder}/mic.raw" rate 16000 channels 1',
        carl=f'infile "{folder}/carl.raw" rate 16000 channels 1',
        one=f'outfile "{folder}/one.raw" rate 16000 channels 1',
        two=f'outfile "{folder}/two.raw" rate 16000 channels 1',
    )
    store = ProfileStore(folder / "edge-pse" / "profiles")
    for name, profile in (("anna", female_profile), ("ben", male_profile)):
        store.save(dataclasses.replace(profile, name=name))
    configuration = folder / "configuration" / "edge-pse"
    configuration.mkdir(parents=True)
    (configuration / "service.conf").write_text(
        "EDGE_PSE_OPTIONS=--input mic --output one --latency 200 --profile anna\n"
    )
    # No service of whoever runs this.
    programs = folder / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (programs / "systemctl").chmod(0o755)
    return {
        **env,
        "XDG_CONFIG_HOME": str(folder / "configuration"),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }


@pytest.fixture(scope="module")
def panel(env, start_command):
    panel = Panel(start_command, env)
    panel.enter()
    # What takes long begins while other things are looked at.
    assert panel.ask("state")["doctor"] is None
    panel.tell("doctor")
    assert panel.tell("enroll", name="carl", seconds=4, microphone="carl", language="en") is None
    yield panel
    subprocess.run([*COMMAND, "ctl", "stop"], env=env, capture_output=True)


@pytest.fixture
def options(env):
    return Path(env["XDG_CONFIG_HOME"]) / "edge-pse/service.conf"


def test_the_page_comes_whole_and_may_load_nothing_from_elsewhere(panel):
    for path, kind in (
        ("/", "html"),
        ("/panel.js", "javascript"),
        ("/panel.css", "css"),
        ("/icon.svg", "svg"),
    ):
        status, headers, body = panel.request("GET", path, headers={"Cookie": None, "X-Edge-Pse-Key": None})
        assert (status, kind in headers["content-type"]) == (200, True)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert not any(name.lower().startswith("access-control") for name in headers)
        assert panel.token.encode() not in body
        assert "server" not in headers
        text = body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text and "//cdn" not in text
    assert panel.request("GET", "/../panel/access.py")[0] in (401, 404)
    assert panel.request("GET", "/page/index.html")[0] == 404


def test_the_cookie_is_for_no_script_and_no_other_site(panel):
    cookie = panel.enter()["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert panel.token.lower() not in cookie


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Cookie": None}, 401),
        ({"X-Edge-Pse-Key": None}, 401),
        ({"X-Edge-Pse-Key": "0" * 64}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": "9999999"}, 413),
        ({"Content-Length": None, "Transfer-Encoding": "chunked"}, 413),
    ],
)
def test_nobody_else_drives_it(panel, options, headers, expected):
    before = options.read_text()
    body = b'{"profiles": []}' if "Transfer-Encoding" not in headers else b"2\r\n{}\r\n0\r\n\r\n"
    status, _, answer = panel.request("POST", "/api/set", headers=headers, body=body)
    assert (status, b"error" in answer) == (expected, True)
    assert options.read_text() == before


@pytest.mark.parametrize("name", ["state", "heard", "texts"])
def test_nobody_else_sees_anything(panel, name):
    for headers in (
        {"Cookie": None},
        {"X-Edge-Pse-Key": None},
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
    ):
        status, _, body = panel.request("GET", f"/api/{name}", headers=headers)
        assert status in (401, 403) and list(json.loads(body)) == ["error"]


def test_a_wrong_token_lets_nobody_in(panel):
    for token in (panel.token[:-1], None):
        status, headers, _ = panel.request("POST", "/api/enter", {"token": token})
        assert (status, "set-cookie" in headers) == (401, False)
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        assert panel.request("POST", "/api/enter", {"token": panel.token}, headers)[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"strength": 2}', b'{"strength": NaN}', b'{"strength": true}', b'{"profiles": "anna"}',
        b'{"profiles": [1]}', b'{"volume": 1}', b"[" * 9000,
    ],
)  # fmt: skip
def test_what_the_page_never_says_is_refused(panel, options, body):
    before = options.read_text()
    assert panel.request("POST", "/api/set", body=body)[0] == 400
    assert options.read_text() == before


def test_there_is_one_for_each_user_and_another_start_prints_its_link(panel, env, start_command):
    again = start_command("panel", "--listen", "127.0.0.1:0", env=env)
    assert again.process.wait(20) == 0
    assert again.lines == [f"The panel is at {panel.link}"]


def test_the_browser_is_shown_the_page_by_a_file_and_the_link_is_in_no_command_line(
    panel, env, start_command, tmp_path
):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/shown"\n')
    browser.chmod(0o755)
    again = start_command("panel", "--open", env={**env, "BROWSER": f"{browser} %s"})
    assert again.process.wait(20) == 0
    shown = (tmp_path / "shown").read_text()
    assert shown.startswith("file://") and panel.token not in shown
    page = Path(shown.strip().removeprefix("file://"))
    assert panel.link in page.read_text() and stat.S_IMODE(page.stat().st_mode) == 0o600


def test_a_place_that_is_taken_is_told_and_a_new_link_makes_the_old_one_useless(
    panel, env, start_command, tmp_path
):
    elsewhere = {**env, "XDG_CONFIG_HOME": str(tmp_path)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        command = start_command("panel", "--listen", place, env=elsewhere)
        assert command.process.wait(20) == 1
    assert f"Error: Can't listen on {place}" in command.lines[-1] and "--listen" in command.lines[-1]
    first = Panel(start_command, elsewhere)
    first.command.process.send_signal(signal.SIGTERM)
    assert first.command.process.wait(10) == 0
    second = Panel(start_command, elsewhere, "--new-link")
    assert second.token != first.token
    assert second.request("POST", "/api/enter", {"token": first.token})[0] == 401
    second.command.process.send_signal(signal.SIGINT)
    assert second.command.process.wait(10) == 0
    assert len(second.command.lines) == 1, "nothing else is written, and no token"


def test_opened_to_the_network_it_says_what_that_means(env, start_command, tmp_path):
    command = start_command("panel", "--listen", "0.0.0.0:0", env={**env, "XDG_CONFIG_HOME": str(tmp_path)})
    command.wait_for("The panel is at http://")
    assert "whoever can listen on that network can take the link from it" in command.lines[0]
    command.kill()


def test_devices_are_listed_with_their_levels(panel):
    panel.tell("devices", listen=True)
    found = panel.wait_for(lambda state: (state["devices"]["levels"].get("inputs") or {}).get("mic"))[
        "devices"
    ]
    assert {"mic", "carl"} <= {device["name"] for device in found["inputs"]}
    assert {"one", "two"} <= {device["name"] for device in found["outputs"]}
    assert found["trouble"] == "" and -60 < found["levels"]["inputs"]["mic"] < 0
    panel.tell("devices", listen=False)
    assert not panel.ask("state")["devices"]["listens"]


def test_a_voice_is_enrolled_and_all_who_look_see_how_it_goes(panel, env):
    state = panel.wait_for(lambda state: state["enrollment"]["done"], 60)
    enrollment = state["enrollment"]
    assert enrollment["error"] == "" and len(enrollment["text"]) == 3
    assert enrollment["said"][0].startswith("Enrolled carl: ") and enrollment["said"][1].startswith("Trust: ")
    assert enrollment["progress"]["speech_seconds"] >= 4
    assert "carl" in panel.wait_for(lambda state: "carl" in state["profiles"])["profiles"]
    assert state["options"]["profiles"] == ["anna"], "somebody was kept before"
    panel.tell("enroll", name="carl", microphone="carl")
    error = panel.wait_for(lambda state: state["enrollment"]["done"])["enrollment"]["error"]
    assert error.startswith("There is a profile 'carl' already")
    panel.tell("enroll", name="dora", microphone="carl")
    panel.wait_for(lambda state: state["enrollment"]["progress"])
    panel.tell("cancel")
    assert panel.ask("state")["enrollment"] is None
    assert "dora" not in ProfileStore(Path(env["EDGE_PSE_HOME"]) / "profiles").list()
    for wrong in (
        {"name": "a\nb"},
        {"name": 1},
        {"seconds": 1},
        {"language": "xx"},
        {"how": "verify"},
        {"more": ""},
    ):
        assert panel.tell("enroll", 400, **{"name": "dora", **wrong})
    assert "is no name for a profile" in panel.tell("enroll", 409, name="../dora")


def test_an_enrollment_that_begins_while_another_is_cancelled_is_not_ended_with_it(panel):
    panel.tell("enroll", name="dora", microphone="carl")
    panel.wait_for(lambda state: state["enrollment"]["progress"])
    cancelling = threading.Thread(target=panel.tell, args=["cancel"])
    cancelling.start()
    panel.wait_for(lambda state: state["enrollment"] is None)
    panel.tell("enroll", name="erna", microphone="carl")
    cancelling.join()
    enrollment = panel.wait_for(lambda state: state["enrollment"]["progress"] or state["enrollment"]["done"])
    assert (enrollment["enrollment"]["name"], enrollment["enrollment"]["done"]) == ("erna", False)
    panel.tell("cancel")


def test_a_person_enters_by_the_link_and_a_page_of_others_changes_nothing(panel, open_page, options):
    page = open_page(panel.link)
    page.locator("#summary").filter(has_text="No stream runs").wait_for()
    assert "#" not in page.url and page.evaluate("document.cookie") == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert without_names(page) == []
    before = options.read_text()
    elsewhere = Elsewhere(panel.origin)
    visited = page.context.new_page()
    visited.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
    visited.locator("body.done").wait_for(state="attached")
    results = visited.evaluate("window.results")
    assert set(results.values()) <= {"refused", "opaque", "kept out"}, results
    assert results["read cors"] == results["set cors"] == results["key"] == "refused"
    elsewhere.shutdown()
    assert options.read_text() == before
    stranger = open_page(panel.origin)
    stranger.get_by_label("Link").fill("http://127.0.0.1/#a wrong token of some length")
    stranger.keyboard.press("Enter")
    stranger.locator("#trouble").filter(has_text="not the token").wait_for()
    assert not stranger.locator("#main").is_visible()
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    page.locator("#summary").filter(has_text="Only anna is heard.").wait_for()
    page.get_by_label("anna").uncheck()
    page.locator("#summary").filter(has_text="Every voice is heard").wait_for()
    page.get_by_label("anna").check()
    page.locator("#summary").filter(has_text="Only anna is heard.").wait_for()
    page.locator("#doctor-state").filter(has_text="It found").wait_for()
    page.locator("#stop").click()
    page.locator("#summary").filter(has_text="No stream runs").wait_for()


def test_the_focus_leads_through_an_enrollment_and_stays_on_other_pages(panel, open_page):
    panel.wait_for(lambda state: state["enrollment"] is None or state["enrollment"]["done"], 60)
    page, other = open_page(panel.link), open_page(panel.link)
    for one in (page, other):
        one.locator("#main:focus").wait_for()  # from then on it is let in
    other.locator("#strength").focus()
    page.locator("#name").fill("dora")
    page.keyboard.press("Enter")
    page.locator("#text:focus").filter(has_text=".").wait_for()
    page.locator("#cancel").focus()
    page.keyboard.press("Enter")
    page.locator("#enrolled:focus").filter(has_text="Cancelled: nothing is kept.").wait_for()
    page.locator("#name").fill("anna")
    page.locator("#how").select_option("replace")
    page.locator("#enroll button").focus()
    page.keyboard.press("Enter")
    page.locator("#text:focus").wait_for()
    panel.tell("cancel")
    page.locator("#enrolled:focus").wait_for()
    page.locator("#strength").focus()
    panel.tell("enroll", name="anna", microphone="carl")  # which is refused: there is one already
    for one in (page, other):
        one.locator("#enrolled").filter(has_text="There is a profile 'anna' already").wait_for()
        assert one.locator("#strength:focus").count() == 1


def test_what_is_refused_is_not_shown_as_if_it_held(panel, open_page):
    panel.wait_for(lambda state: state["enrollment"]["done"], 60)
    page = open_page(panel.link)
    page.locator("#output option[value='two']").wait_for(state="attached")
    refusal = json.dumps({"error": "That can't be."})
    for name in ("options", "set"):
        page.route(f"**/api/{name}", lambda route: route.fulfill(status=409, body=refusal))
    for place, choose, shown in (
        ("#output", lambda one: one.select_option("two"), "one"),
        ("#strength", lambda one: one.press("Home"), "100"),
    ):
        page.locator(place).focus()
        choose(page.locator(place))
        page.locator("#trouble").filter(has_text="That can't be.").wait_for()
        page.wait_for_function(
            "([place, shown]) => document.querySelector(place).value === shown", arg=[place, shown]
        )
        assert page.locator(f"{place}:focus").count() == 1
    page.route("**/api/start", lambda route: route.abort())
    page.locator("#start").click()
    page.locator("#trouble").filter(has_text="did not answer: try that again").wait_for()


def test_a_stream_is_started_changed_and_stopped_and_goes_on_without_the_panel(
    panel, env, options, start_command
):
    state = panel.ask("state")
    assert state["status"] is None and "No stream runs" in state["trouble"]
    assert state["profiles"] == ["anna", "ben", "carl"] and state["options"]["input"] == "mic"
    assert panel.tell("set", profiles=["ben"]) is None, "what is set before counts when it starts"
    assert panel.tell("start") is None
    state = panel.wait_for(
        lambda state: "Running: mic to one." in [said["text"] for said in state["status"]["sentences"]]
    )
    assert state["status"]["profiles"] == ["ben"] and state["status"]["stream"]["input"] == "mic"
    panel.tell("set", profiles=["anna", "ben"], strength=0.5, bypass=True)
    status = panel.ask("state")["status"]
    assert (status["profiles"], status["strength"], status["bypass"]) == (["anna", "ben"], 0.5, True)
    kept = options.read_text()
    assert "--profile anna --profile ben --strength 0.5" in kept and "--latency 200" in kept
    assert "no profile 'nobody'" in panel.tell("set", 409, profiles=["nobody"])
    assert options.read_text() == kept
    assert panel.tell("options", output="two") is None
    status = panel.wait_for(lambda state: (state["status"] or {}).get("stream"))["status"]
    assert status["stream"]["output"] == "two"
    assert (status["profiles"], status["strength"], status["bypass"]) == (["anna", "ben"], 0.5, True)
    points = panel.ask("state")["points"]
    assert points and points[-1][0] > 1e9 and len(points[-1]) == 7
    assert all(point[0] > points[-1][0] for point in panel.ask(f"state?after={points[-1][0]}")["points"])
    assert resident_mb(panel.command.process.pid) < MOST_RESIDENT_MB


def test_the_last_seconds_are_heard_by_who_asks_and_only_as_long(panel):
    assert panel.ask("state")["heard_s"] is None
    assert "No sound is kept" in panel.refused("heard")
    panel.tell("set", bypass=True)
    panel.tell("hear")
    panel.wait_for(lambda state: state["heard_s"] > 1.5)
    heard = panel.ask("heard")
    for which in ("before", "after"):
        samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(heard[which]["wav"])))
        assert rate_hz == heard[which]["rate_hz"] and samples.size > rate_hz and np.abs(samples).max() > 0.01
    panel.tell("forget")
    assert panel.ask("state")["heard_s"] is None and "No sound is kept" in panel.refused("heard")


def test_sound_that_is_on_its_way_when_it_is_forgotten_does_not_come_back(panel, open_page):
    page = open_page(panel.link)
    page.locator("#hear").click()

    def forgotten(route):
        answer = route.fetch()
        page.locator("#forget").click()
        page.locator("#hear-state").filter(has_text="Forgotten.").wait_for()
        route.fulfill(response=answer)

    page.route("**/api/heard", forgotten)
    with page.expect_response("**/api/heard", timeout=30_000) as answered:
        pass
    assert "wav" in answered.value.text()
    page.wait_for_timeout(1000)
    assert (
        not page.locator("#heard").is_visible() and page.locator("#before-sound").get_attribute("src") is None
    )
    assert page.locator("#hear-state").inner_text() == "Forgotten."


def test_a_page_that_was_not_seen_says_why_its_sound_is_gone(panel, open_page):
    page = open_page(panel.link)
    page.locator("#hear").click()
    page.locator("#hear-state").filter(has_text="Speak").wait_for()
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => window.isHidden, configurable: true})"
    )
    page.evaluate("window.isHidden = true")  # as behind the lock of a phone
    panel.wait_for(lambda state: state["heard_s"] is None, 40)
    page.evaluate("window.isHidden = false")
    page.locator("#hear-state").filter(has_text="this page was not seen for a while").wait_for()


def test_devices_that_do_not_open_are_told_and_what_was_there_before_goes_on(panel):
    assert panel.tell("start") is None
    assert panel.tell("options", output="two") is None
    assert "There is no output device 'nowhere' now" in panel.tell("options", 409, output="nowhere")
    state = panel.wait_for(lambda state: (state["status"] or {}).get("stream"))
    assert state["options"]["output"] == "two" and state["status"]["stream"]["output"] == "two"


@pytest.mark.parametrize(("output", "expected"), [("nowhere", 409), ("one", 200)])
def test_what_was_set_from_elsewhere_outlives_a_change_of_devices(panel, env, output, expected):
    panel.tell("start")
    for words in (("bypass", "on"), ("strength", "0.3"), ("profile", "ben")):
        done = subprocess.run([*COMMAND, "ctl", *words], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    panel.tell("options", expected, output=output)
    status = panel.wait_for(lambda state: (state["status"] or {}).get("stream"))["status"]
    assert (status["bypass"], status["strength"], status["profiles"]) == (True, 0.3, ["ben"])


def dead_children(process):
    """Those that have ended, and that it has not asked for."""
    states = subprocess.run(["ps", "-o", "stat=", "--ppid", str(process)], capture_output=True, text=True)
    return [state for state in states.stdout.split() if state.startswith("Z")]


def test_a_stream_that_ends_beneath_it_is_told_and_found_again(panel, env, start_command):
    assert panel.tell("start") is None
    until = time.monotonic() + 20
    done = subprocess.run([*COMMAND, "ctl", "stop"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    panel.wait_for(lambda state: state["status"] is None)
    while dead_children(panel.command.process.pid):
        assert time.monotonic() < until, "the stream that has ended is still a process"
        time.sleep(0.05)
    command = start_command("run", "--input", "mic", "--latency", "200", "--output", "one", env=env)
    command.wait_for("Running")
    assert panel.wait_for(lambda state: state["status"])["status"]["profiles"] == []
    assert panel.tell("stop") is None
    assert panel.ask("state")["status"] is None
    assert command.process.wait(10) == 0


def test_the_doctor_tells_all_who_look(panel):
    done = panel.wait_for(lambda state: state["doctor"]["done"], 120)["doctor"]
    names = [finding["name"] for finding in done["findings"]]
    assert len(names) == len(set(names)) > 10 and "model in time" in names
    assert {finding["status"] for finding in done["findings"]} <= {"ok", "warn", "fail"}


def test_a_page_shows_the_findings_that_it_counts(panel, open_page):
    page = open_page(panel.link)
    page.locator("#doctor-state").filter(has_text="It found").wait_for(timeout=120_000)
    count = page.locator("#findings li").count()

    def of_another_examination(route):
        answer = route.fetch()
        state = answer.json()
        for finding in state["doctor"]["findings"]:
            finding.update(status="fail", sentence="It broke.")
        route.fulfill(response=answer, json=state)

    page.route("**/api/state*", of_another_examination)
    page.locator("#doctor-state").filter(has_text=f"It found {count} failures").wait_for()
    assert page.locator("#findings li").filter(has_text="It broke.").count() == count


# In the place of the systemd of a user, with one service.
SYSTEMCTL = """#!{python}
import os, shlex, subprocess, sys
words, place = sys.argv[2:], os.path.dirname(__file__)
process, options = place + "/process", place + "/options.conf"
command = [{python!r}, "-c", "from edge_pse.cli import main; main()"]
def alive():
    try:
        return open(f"/proc/{{open(process).read()}}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
with open(place + "/log", "a") as log:
    print(*words, file=log)
if words[0] == "show":
    known = {{"LoadState": "loaded", "EnvironmentFiles": options + " (ignore_errors=yes)"}}
    known["ActiveState"] = "active" if alive() else "failed"
    known["Result"] = "success" if alive() else "exit-code"
    print(known[words[1].partition("=")[2]])
elif words[0] == "start":
    given = shlex.split(open(options).read().partition("=")[2])
    with open(process, "w") as file:
        file.write(str(subprocess.Popen([*command, "run", *given], stdout=subprocess.DEVNULL,
                                        stderr=open(place + "/journal", "w")).pid))
elif words[0] == "stop" and alive():
    os.kill(int(open(process).read()), 15)
"""


def test_where_the_service_is_installed_it_is_that_one(env, start_command, tmp_path):
    for name, script in (
        ("systemctl", SYSTEMCTL.format(python=sys.executable)),
        ("journalctl", f"#!/bin/sh\ncat {tmp_path}/journal\n"),
    ):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    options = tmp_path / "options.conf"
    options.write_text("EDGE_PSE_OPTIONS=--input mic --output nowhere --latency 200\n")
    elsewhere = {**env, "XDG_CONFIG_HOME": str(tmp_path), "PATH": f"{tmp_path}:{env['PATH']}"}
    panel = Panel(start_command, elsewhere)
    panel.enter()
    assert panel.ask("state")["service"]
    assert "There is no output device 'nowhere' now" in panel.tell("start", 409)
    assert panel.tell("options", output="one") is None
    assert panel.tell("start") is None
    assert (
        panel.wait_for(lambda state: (state["status"] or {}).get("stream"))["status"]["stream"]["output"]
        == "one"
    )
    assert options.read_text().endswith("--input mic --latency 200 --output one\n")
    assert panel.tell("stop") is None and panel.ask("state")["status"] is None
    assert [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("st")] == [
        "start --no-block edge-pse.service",
        "stop edge-pse.service",  # else it would be tried again and again
        "start --no-block edge-pse.service",
        "stop edge-pse.service",
    ]


def resident_mb(process_id):
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000
