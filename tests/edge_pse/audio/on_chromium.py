"""A browser that lists the virtual microphone and is sent enhanced speech: ``make test-browser``.

The page needs no driver: it does its work by itself and posts what it heard to the test.
"""

import json
import queue
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from edge_pse.audio.devices.virtual_mic import DESCRIPTION
from tests.edge_pse.audio.running import aligned

PAGE = """<!doctype html><title>edge-pse</title><script>
const post = (path, body) => fetch(path, {method: "POST", body});
const worklet = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[samples]]) { if (samples) this.port.postMessage(samples.slice()); return true; } })`;
async function hear(label, seconds) {
  (await navigator.mediaDevices.getUserMedia({audio: true})).getTracks().forEach(track => track.stop());
  const devices = await navigator.mediaDevices.enumerateDevices();
  await post("/devices", JSON.stringify(devices.filter(d => d.kind == "audioinput").map(d => d.label)));
  const {deviceId} = devices.find(d => d.kind == "audioinput" && d.label == label);
  const audio = {deviceId: {exact: deviceId}, channelCount: 1,
                 echoCancellation: false, noiseSuppression: false, autoGainControl: false};
  const stream = await navigator.mediaDevices.getUserMedia({audio});
  const context = new AudioContext({sampleRate: 16000});
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], {type: "text/javascript"})));
  const tap = new AudioWorkletNode(context, "tap"), heard = [];
  tap.port.onmessage = event => heard.push(...event.data);
  context.createMediaStreamSource(stream).connect(tap).connect(context.destination);
  await new Promise(done => setTimeout(done, 1000 * seconds));
  await post("/heard", new Float32Array(heard));
}
hear("LABEL", 5).catch(error => post("/error", error.name + ": " + error.message));
</script>"""


class Site(ThreadingHTTPServer):
    """Serves the page and collects what it posts."""

    def __init__(self, page):
        self.page, self.posted = page, queue.Queue()
        super().__init__(("127.0.0.1", 0), Visit)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def next_post(self, path, seconds):
        where, body = self.posted.get(timeout=seconds)
        assert where == path, body.decode(errors="replace")
        return body


class Visit(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.put((self.path, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def browse(sound_server, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("a browser is missing: apt-get install chromium")
    started = []

    def open_page(address):
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update",
                 "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required")  # fmt: skip
        started.append(
            subprocess.Popen(
                [chromium, *flags, f"--user-data-dir={tmp_path}/chromium", address],
                env=sound_server.env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    yield open_page
    for process in started:
        process.terminate()
        process.wait()


def test_a_browser_lists_the_microphone_and_hears_enhanced_speech(
    sound_server, start_command, browse, speech_pcm
):
    on = start_command("virtual-mic", "on", env=sound_server.env)
    assert on.process.wait(20) == 0, on.lines
    run = start_command(
        "run", "--input", "desk", "--output", "virtual", "--latency", "100", env=sound_server.env
    )
    run.wait_for("Running")
    player = sound_server.play(np.tile(speech_pcm, 10))
    site = Site(PAGE.replace("LABEL", DESCRIPTION))
    browse(f"http://localhost:{site.server_port}/")
    try:
        assert DESCRIPTION in json.loads(site.next_post("/devices", 60))
        heard = np.frombuffer(site.next_post("/heard", 60), np.float32)
    finally:
        player.kill()
        site.shutdown()
    assert heard.size > 3 * 16_000
    reference = np.tile(speech_pcm, 2).astype(np.float32)
    pieces = [heard[start : start + 8_000] for start in range(16_000, heard.size - 8_000, 8_000)]
    similar = [np.corrcoef(piece, aligned(piece, reference))[0, 1] for piece in pieces if piece.std() > 1e-3]
    assert np.median(similar) > 0.8
    run.stop()
