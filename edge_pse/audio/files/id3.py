"""Title, artist and so on of MP3 files: as a whole from another one, or written anew.

libsndfile gives them to LAME byte by byte, which takes them for Latin-1 and cuts some short.
"""

from __future__ import annotations

import os

_FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "tracknumber": b"TRCK",
    "genre": b"TCON",
    "copyright": b"TCOP",
    "date": b"TDRC",
    "license": b"WCOP",
}
_HEAD_BYTES = 10
_UTF_8 = b"\x03"
_MOST = 1 << 24  # covers are in it


def read(descriptor: int) -> bytes:
    """What stands before the sound of an MP3 file (ID3 version 2, with cover and all), as it is; or nothing."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.read(descriptor, _HEAD_BYTES)
    if len(head) < _HEAD_BYTES or not head.startswith(b"ID3") or max(head[6:]) > 127:
        return b""
    size = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    content = os.read(descriptor, size) if size <= _MOST else b""
    return head + content if len(content) == size else b""


def has_picture(content: bytes) -> bool:
    """Whether there is a cover in what stands before the sound."""
    return b"APIC" in content


def written(tags: dict[str, str]) -> bytes:
    """The same from texts, by soundfile's names for them: ID3 version 2.4 in UTF-8; nothing of nothing."""
    frames = b"".join(_frame(key, text) for key, text in tags.items())
    return b"ID3\x04\0\0" + _size(len(frames)) + frames if frames else b""


def _frame(key: str, text: str) -> bytes:
    content = text.encode(errors="replace")
    if key == "comment":
        name, body = b"COMM", _UTF_8 + b"und\0" + content
    elif key in _FRAMES:
        name = _FRAMES[key]
        body = content if name.startswith(b"W") else _UTF_8 + content
    else:
        return b""
    return name + _size(len(body)) + b"\0\0" + body


def _size(count: int) -> bytes:
    return bytes(count >> shift & 127 for shift in (21, 14, 7, 0))
