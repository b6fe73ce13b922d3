"""A panel as a process, and a browser's requests to it."""

import http.client
import json
import re
import time

ADDRESS = re.compile(r"The panel is at (http://([\d.]+):(\d+)/#(\S+))")


class Panel:
    """``edge-pse panel``, started; ``ask`` and ``tell`` are what its page does."""

    def __init__(self, start_command, env, *options):
        self.command = start_command("panel", "--listen", "127.0.0.1:0", *options, env=env)
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

    def tell(self, name, expected=200, **content):
        """-> the sentence with which it is refused, or nothing."""
        status, _, body = self.request("POST", f"/api/{name}", content)
        assert status == expected, body
        return json.loads(body).get("error")

    def wait_for(self, what, seconds=20):
        """The state, as soon as ``what`` is true of it."""
        until = time.monotonic() + seconds
        while not what(state := self.ask("state")):
            assert time.monotonic() < until, state
            time.sleep(0.1)
        return state
