"""Answers the page: what it is, how things go, and what it is told to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_pse import strict_json
from edge_pse.errors import EdgePseError
from edge_pse.panel.access import Access
from edge_pse.panel.parts import Parts

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/panel.css": ("panel.css", "text/css; charset=utf-8"),
    "/panel.js": ("panel.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_MOST_BYTES = 16 * 1024
_MOST_DIGITS = 9
_WRONG_TOKEN_S = 1.0
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}

Action = Callable[[dict[str, Any]], Any]


def application(access: Access, parts: Parts) -> ASGIApp:
    """All that HTTP reaches."""
    files = [Route(path, partial(_file, *file)) for path, file in _FILES.items()]
    asks = [Route(f"/api/{name}", _asked(ask), methods=["GET"]) for name, ask in parts.questions().items()]
    acts = [Route(f"/api/{name}", _done(act), methods=["POST"]) for name, act in parts.actions().items()]
    enter = Route("/api/enter", partial(_enter, access), methods=["POST"])
    return _Guard(Starlette(routes=[*files, enter, *asks, *acts]), access)


class _Guard:
    """Lets nobody through but the page, and to what is behind ``/api`` nobody but who has the token."""

    def __init__(self, app: ASGIApp, access: Access):
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.encode(), value.encode()) for name, value in _HEADERS.items()),
                ]
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        # A link from elsewhere may lead to the page, where there is nothing to see without the token.
        of_page = scope["path"] in _FILES and scope["method"] in ("GET", "HEAD")
        looked_at = {"host": headers.get("host", "")} if of_page else headers
        trouble = self._access.trouble_of_origin(scope["method"], looked_at)
        if trouble:
            return _refused(trouble, 403)
        if of_page:
            return None
        if scope["method"] not in ("GET", "HEAD"):
            length = headers.get("content-length", "")
            # What comes in chunks is read to its end, whatever length is named beside them.
            if "transfer-encoding" in headers or not _is_small(length):
                return _refused("That is too much, or does not say how much it is.", 413)
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return _refused("JSON is understood, and nothing else.", 415)
        if scope["path"] != "/api/enter" and not self._access.admits(headers):
            return _refused("Open the link that edge-pse panel has printed.", 401)
        return None


async def _file(name: str, kind: str, request: Request) -> Response:
    return Response((_PAGE / name).read_bytes(), headers={"content-type": kind})


async def _enter(access: Access, request: Request) -> Response:
    try:
        token = (await _content(request)).get("token")
    except ValueError:
        token = None
    admitted = access.exchange(token)
    if admitted is None:
        await asyncio.sleep(_WRONG_TOKEN_S)
        return _refused(
            "That is not the token of this panel: open the link that edge-pse panel has printed.", 401
        )
    cookie, key = admitted
    response = JSONResponse({"key": key})
    response.set_cookie(
        access.cookie_name, cookie, max_age=400 * 86_400, httponly=True, samesite="strict", path="/api"
    )
    return response


async def _content(request: Request) -> dict[str, Any]:
    """What was sent; ValueError unless it is an object."""
    try:
        content = strict_json.parse(await request.body())
    except RecursionError:
        content = None
    except ClientDisconnect:
        raise ValueError("not all of it came") from None
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def _asked(ask: Action) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await _answered(partial(ask, dict(request.query_params)))

    return answer


def _done(act: Action) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            wanted = await _content(request)
        except ValueError:
            return _refused("That is nothing that the page says.", 400)
        return await _answered(partial(act, wanted))

    return answer


async def _answered(do: Callable[[], Any]) -> Response:
    """On a thread: it may wait."""
    try:
        content = await run_in_threadpool(do)
    except EdgePseError as error:
        return _refused(str(error), 409)
    except (KeyError, TypeError, ValueError):
        return _refused("That is nothing that the page says.", 400)
    return JSONResponse({} if content is None else content)


def _is_small(length: str) -> bool:
    """Whether it is a length in decimal digits of no more than is taken."""
    return (
        length.isascii() and length.isdecimal() and len(length) <= _MOST_DIGITS and int(length) <= _MOST_BYTES
    )


def _refused(sentence: str, status: int) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)
