"""The panel before strangers, who have no link, and before a file of options that people edit."""

import asyncio
import json
import socket
import threading
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("uvicorn", reason="the panel needs: pip install starlette uvicorn")

from edge_pse.errors import ControlError
from edge_pse.panel import connection, serving
from edge_pse.panel.access import Access
from edge_pse.panel.parts import Parts
from edge_pse.panel.server import application
from edge_pse.panel.serving import MOST_CONNECTIONS, Address, running, serve, server_of

TOKEN = "a token of twenty letters"
ENTER = ("POST /api/enter HTTP/1.1", "Origin: http://127.0.0.1", "Content-Type: application/json")


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Serves a panel as long as it is entered, and gives what connects to it -> (reader, writer)."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "EDGE_PSE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))

    @asynccontextmanager
    async def serving():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = server_of(application(Access(TOKEN, 10360), Parts()))
            running = asyncio.create_task(server.serve([listener]))
            try:
                async with asyncio.timeout(60):
                    while not server.started:
                        await asyncio.sleep(0.01)
                    yield lambda: asyncio.open_connection(*listener.getsockname())
            finally:
                server.should_exit = True
                await running

    return serving


def said(*lines, body=b""):
    """The beginning of a request."""
    return "".join(f"{line}\r\n" for line in (lines[0], "Host: 127.0.0.1", *lines[1:], "")).encode() + body


async def answered(connected, request):
    """Status, headers and content of the answer to a request."""
    reader, writer = connected
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    return int(head.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


@pytest.mark.parametrize(
    "lengths",
    [["Content-Length: 00000000099999999999"], ["Content-Length: 2", "Transfer-Encoding: chunked"]],
)
def test_a_stranger_is_not_read_to_the_end_of_what_is_too_much(served, lengths):
    async def sent():
        async with served() as connect:
            return await answered(await connect(), said(*ENTER, *lengths))

    status, _, content = asyncio.run(asyncio.wait_for(sent(), 60))
    assert status == 413 and b"too much" in content


@pytest.mark.parametrize("begun", [b"", b"GET / HT", said(*ENTER, "Content-Length: 9", body=b"{")])
def test_strangers_who_ask_nothing_lock_nobody_out(served, monkeypatch, begun):
    monkeypatch.setattr(connection, "REQUEST_S", 1.0)

    async def crowded():
        async with served() as connect:
            crowd = [await connect() for _ in range(MOST_CONNECTIONS)]
            for _, writer in crowd[:50]:
                writer.write(begun)
            for reader, _ in crowd:
                await reader.read()  # to its end
            return await answered(await connect(), said("GET / HTTP/1.1"))

    assert asyncio.run(crowded())[0] == 200


def test_of_two_that_begin_at_once_one_says_that_the_other_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "edge-pse").mkdir()
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        (tmp_path / "edge-pse/panel.lock").open("w+") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        address = Address(*other.getsockname())
        print(address, file=lock, flush=True)
        with pytest.raises(ControlError, match=f"runs already, at {address}"):
            serve(address, lambda bound: None)


def test_one_that_only_just_begins_is_waited_for_and_what_ended_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "edge-pse").mkdir()
    path = tmp_path / "edge-pse/panel.lock"
    path.write_text("127.0.0.1:1\n")  # of a panel that was killed
    assert running() is None
    with path.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        later = threading.Timer(0.3, lambda: print("127.0.0.1:2", file=lock, flush=True))
        later.start()
        assert running() == Address("127.0.0.1", 2)
        later.join()
        lock.truncate(0)
        monkeypatch.setattr(serving, "_BEGINS_S", 0.2)
        with pytest.raises(ControlError, match="just beginning"):
            running()


def test_whoever_asks_again_and_again_or_waits_for_an_answer_is_not_cut_off(served, monkeypatch):
    monkeypatch.setattr(connection, "REQUEST_S", 0.8)  # a wrong token is answered after a second

    async def asked():
        async with served() as connect:
            connected, statuses = await connect(), []
            for _ in range(5):
                statuses.append((await answered(connected, said("GET / HTTP/1.1")))[0])
                await asyncio.sleep(0.3)
            wrong = said(*ENTER, "Content-Length: 2", body=b"{}")
            return [*statuses, (await answered(connected, wrong))[0]]

    assert asyncio.run(asked()) == [200] * 5 + [401]


def test_a_stranger_who_leaves_in_the_middle_is_not_worth_a_word(served, caplog):
    async def left():
        async with served() as connect:
            _, writer = await connect()
            writer.write(said(*ENTER, "Content-Length: 9", body=b"{"))
            await asyncio.sleep(0.3)
            writer.close()
            await asyncio.sleep(0.3)
            return await answered(await connect(), said("GET / HTTP/1.1"))

    assert asyncio.run(left())[0] == 200
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


@pytest.mark.parametrize("strength", ["nan", "inf", "loud"])
def test_a_strength_that_is_none_keeps_nobody_from_setting_another(served, tmp_path, strength):
    options = tmp_path / "edge-pse" / "service.conf"
    options.parent.mkdir()
    options.write_text(f"EDGE_PSE_OPTIONS=--strength {strength}\n")
    cookie, key = Access(TOKEN, 10360).exchange(TOKEN)
    own = (f"Cookie: edge-pse-10360={cookie}", f"X-Edge-Pse-Key: {key}")

    async def seen():
        async with served() as connect:
            return await answered(await connect(), said("GET /api/state HTTP/1.1", *own))

    status, _, content = asyncio.run(seen())
    assert status == 200 and json.loads(content)["options"]["strength"] is None
