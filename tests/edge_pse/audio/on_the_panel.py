"""A panel as a process, and a browser's requests to it."""

import http.client
import http.server
import json
import re
import threading
import time

ADDRESS = re.compile(r"The panel is at (http://([\d.]+):(\d+)/#(\S+))")


class Panel:
    """``edge-pse panel``, started; ``ask`` and ``tell`` are what its page does."""

    def __init__(self, start_command, env, *options, at=0):
        self.command = start_command("panel", "--listen", f"127.0.0.1:{at}", *options, env=env)
        self.command.wait_for("The panel is at")
        found = ADDRESS.search(self.command.lines[-1])
        self.link, self.host, port, self.token = found.groups()
        self.port = int(port)
        self.cookie = self.key = ""

    @property
    def origin(self):
        return f"http://{self.host}:{self.port}"

    def request(self, method, path, content=None, headers=None, body=None):
        """(status, headers, body) of a request as it is given; a header that is None is left out."""
        sent = {
            "Cookie": self.cookie or None,
            "X-Edge-Pse-Key": self.key or None,
            "Sec-Fetch-Site": "same-origin",
            **({"Origin": self.origin, "Content-Type": "application/json"} if method == "POST" else {}),
            **(headers or {}),
        }
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(
                method,
                path,
                body=body if content is None else json.dumps(content),
                headers={name: value for name, value in sent.items() if value is not None},
            )
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def enter(self):
        status, headers, body = self.request("POST", "/api/enter", {"token": self.token})
        assert status == 200, body
        self.cookie, self.key = headers["set-cookie"].partition(";")[0], json.loads(body)["key"]
        return headers

    def ask(self, name):
        status, _, body = self.request("GET", f"/api/{name}")
        assert status == 200, body
        return json.loads(body)

    def tell(self, name, expected=200, /, **content):
        """-> the sentence with which it is refused, or nothing."""
        status, _, body = self.request("POST", f"/api/{name}", content)
        assert status == expected, body
        return json.loads(body).get("error")

    def refused(self, name):
        """The sentence with which a question is refused."""
        status, _, body = self.request("GET", f"/api/{name}")
        assert status == 409, body
        return json.loads(body)["error"]

    def wait_for(self, what, seconds=20):
        """The state, as soon as ``what`` is true of it."""
        until = time.monotonic() + seconds
        while not what(state := self.ask("state")):
            assert time.monotonic() < until, state
            time.sleep(0.1)
        return state


HOSTILE = """<!doctype html><title>hostile</title><body><script>
const panel = "ORIGIN", results = {};
const note = async (name, attempt) => {
  try { results[name] = await attempt(); } catch (error) { results[name] = "refused"; }
};
const said = async answer => answer.type == "opaque" ? "opaque" : answer.status;
(async () => {
  for (const mode of ["cors", "no-cors"]) {
    await note("read " + mode, async () => said(await fetch(panel + "/api/state", {mode, credentials: "include"})));
    await note("set " + mode, async () => said(await fetch(panel + "/api/set",
      {method: "POST", mode, credentials: "include", body: '{"profiles": []}'})));
  }
  await note("key", async () => said(await fetch(panel + "/api/set", {method: "POST", credentials: "include",
    headers: {"Content-Type": "application/json", "X-Edge-Pse-Key": "0"}, body: '{"profiles": []}'})));
  await note("script", () => new Promise((done, failed) => {
    const script = document.createElement("script");
    script.type = "module"; script.src = panel + "/panel.js";
    script.onload = () => done("ran"); script.onerror = failed;
    document.body.append(script);
  }));
  const form = document.createElement("form"), frame = document.createElement("iframe");
  frame.name = "away"; document.body.append(frame, form);
  Object.assign(form, {action: panel + "/api/stop", method: "post", enctype: "text/plain", target: "away"});
  form.submit();
  await new Promise(done => setTimeout(done, 300));
  const framed = document.createElement("iframe");
  framed.src = panel + "/"; document.body.append(framed);
  await new Promise(done => setTimeout(done, 500));
  results.framed = framed.contentDocument === null ? "kept out" : "shown";
  results.form = frame.contentDocument === null ? "kept out" : "answered";
  window.results = results;
  document.body.className = "done";
})();
</script>"""


class Elsewhere(http.server.ThreadingHTTPServer):
    """A site of somebody else, which wants to drive the panel."""

    def __init__(self, origin):
        self.page = HOSTILE.replace("ORIGIN", origin).encode()
        super().__init__(("127.0.0.1", 0), _Visit)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Visit(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page)

    def log_message(self, *_):
        pass


def without_names(page):
    """What a person can work with and a screen reader has no name for."""
    return page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, meter, progress, audio, canvas")]
           .filter(one => !(one.labels?.length || one.ariaLabel || one.textContent.trim())).map(one => one.outerHTML)"""
    )
