"""Who may use the panel: by which name, from which page, with which token."""

import socket
import stat

import pytest

from edge_pse.errors import ControlError
from edge_pse.panel.access import Access, kept_token
from edge_pse.panel.serving import Address

HOST = "127.0.0.1:10360"
OWN = {"host": HOST, "origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}


@pytest.fixture
def access():
    return Access("a token of twenty letters", 10360)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:10360", "127.0.0.1", "[::1]:9", "[fe80::1]", "192.168.1.7:10360", "localhost:1", "LOCALHOST.",
     f"{socket.gethostname()}:10360", f"{socket.gethostname().partition('.')[0]}.local"],
)  # fmt: skip
def test_it_has_the_addresses_and_names_of_the_machine(access, host):
    assert access.trouble_of_origin("GET", {"host": host}) == ""


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:10360",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[evil]:1",
    ],
)
def test_names_that_a_name_server_may_lead_here_are_refused(access, host):
    assert "the address that it was started with" in access.trouble_of_origin("GET", {"host": host})


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"origin": None}),
        ("POST", {"origin": "null"}),
        ("POST", {"origin": "http://evil.example"}),
        ("POST", {"origin": "http://127.0.0.1:10361"}),
        ("POST", {"sec-fetch-site": "same-site"}),
        ("POST", {"sec-fetch-site": "cross-site"}),
        ("GET", {"origin": "http://evil.example"}),
        ("GET", {"sec-fetch-site": "cross-site"}),
        ("GET", {"sec-fetch-site": "none"}),
        ("DELETE", {"origin": None}),
    ],
)
def test_pages_of_others_are_refused(access, method, headers):
    assert access.trouble_of_origin(method, OWN) == ""
    given = {name: value for name, value in (OWN | headers).items() if value is not None}
    assert access.trouble_of_origin(method, given)


def test_both_the_cookie_and_the_key_are_needed(access):
    cookie, key = access.exchange("a token of twenty letters")
    good = {"cookie": f"other=1; edge-pse-10360={cookie}", "x-edge-pse-key": key}
    assert access.admits(good)
    for wrong in (
        {"cookie": ""},
        {"x-edge-pse-key": ""},
        {"x-edge-pse-key": cookie},
        {"x-edge-pse-key": key[:-1]},
        {"x-edge-pse-key": "ü"},
        {"cookie": f"edge-pse-10360={key}"},
        {"cookie": f"edge-pse-10361={cookie}"},
        {"cookie": "[]=\x00"},
    ):
        assert not access.admits(good | wrong), wrong
    assert not access.admits({})
    assert Access("another token of twenty", 10360).admits(good) is False
    for token in ("", "a token of twenty letter", None, 1, [], "ü"):
        assert access.exchange(token) is None


@pytest.mark.parametrize(
    "other", ['prefs={"a": 1}', "name=Jürgen", 'half="of', "a=b c", "flag", "=", "edge-pse-10360=old"]
)
def test_cookies_of_other_programs_of_the_machine_keep_nobody_out(access, other):
    cookie, key = access.exchange("a token of twenty letters")
    for cookies in (f"{other}; edge-pse-10360={cookie}", f"edge-pse-10360={cookie}; {other}"):
        assert access.admits({"cookie": cookies, "x-edge-pse-key": key})
    assert not access.admits({"cookie": other, "x-edge-pse-key": key})


def test_the_token_is_kept_for_its_user_alone(tmp_path):
    path = tmp_path / "folder" / "panel.token"
    token = kept_token(path)
    assert len(token) >= 24 and token == kept_token(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert kept_token(path, renew=True) != token
    path.chmod(0o640)
    with pytest.raises(ControlError, match="Others may know the token"):
        kept_token(path)
    path.chmod(0o600)
    path.write_text("short\n")
    assert len(kept_token(path)) >= 24


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "127.0.0.1:10360"),
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("localhost:9", "127.0.0.1:9"),
        ("::1", "[::1]:10360"),
        ("[::1]:9", "[::1]:9"),
        ("192.168.1.7:0", "192.168.1.7:0"),
    ],
)
def test_an_address_is_read_as_it_is_written(text, address):
    assert str(Address.of(text)) == address
    assert Address.of(text).of_network == (not text.startswith(("127", "localhost", "::1", "[::1]")))


@pytest.mark.parametrize(
    "text", ["", "nowhere", "127.0.0.1:", "127.0.0.1:70000", "1.2.3:4", "127.0.0.1:x", "[::1"]
)
def test_what_is_no_address_is_refused_in_a_sentence(refused, monkeypatch, text):
    monkeypatch.setattr("os.execv", None)  # else a panel would go on in the place of this test
    assert "is nowhere to listen" in refused("panel", "--listen", text)


def test_a_panel_for_the_network_has_an_address_in_its_link():
    assert Address.of("0.0.0.0:80").link("token").startswith("http://")
    assert "0.0.0.0" not in Address.of("0.0.0.0:80").link("token")
    assert Address.of("[::1]:80").link("token") == "http://[::1]:80/#token"
