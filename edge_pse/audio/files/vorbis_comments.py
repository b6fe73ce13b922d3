"""The texts and pictures that stand before the sound of FLAC and Ogg files, as they are in either.

libsndfile has a place for ten kinds of text, and for no picture. It knows a comment by the name COMMENT, but ffmpeg and
others write it as DESCRIPTION, as Xiph's recommendation has it. The libraries that edit such texts are under the GPL.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

COMMENTS, CUE_SHEET, PICTURE = 4, 5, 6
"""Kinds of FLAC's blocks that say something of the recording."""
_BLOCK_BYTES = 1 << 24
"""As many and more do not fit into one of FLAC's."""
_OF_THE_CODING = (b"waveformatextensible_channel_mask=",)
"""What is no longer true of a file with other channels."""
_OF_PROGRAMS = ("encoder", "encoded-by", "encoded_by", "replaygain_", "r128_")
_KNOWN = (
    "title",
    "artist",
    "album",
    "tracknumber",
    "date",
    "genre",
    "comment",
    "description",
    "copyright",
    "license",
)
"""What libsndfile has a place for, whatever the format."""
_LONGEST_NAME = 40
_OGG_PICTURE = b"metadata_block_picture="
"""A picture as FLAC has it, in base64, is one of the texts of an Ogg file."""


@dataclass(frozen=True)
class Block:
    """One of those that stand before the sound of a FLAC file: its kind, and what it holds."""

    kind: int
    content: bytes


def of_flac(blocks: Sequence[Block]) -> list[Block]:
    """Of the blocks of a FLAC file those that say something of the recording, whatever its channels."""
    found = [block for block in blocks if block.kind in (COMMENTS, CUE_SHEET, PICTURE)]
    return [
        Block(COMMENTS, _without_channels(block.content)) if block.kind == COMMENTS else block
        for block in found
    ]


def of_ogg(comments: bytes) -> list[Block]:
    """The same of the texts of an Ogg file, among which the pictures are."""
    vendor, entries = _entries(comments)
    pictures = []
    for entry in entries:
        if _is_picture(entry):
            with suppress(binascii.Error):
                picture = base64.b64decode(entry[len(_OGG_PICTURE) :], validate=True)
                if len(picture) < _BLOCK_BYTES:
                    pictures.append(Block(PICTURE, picture))
    texts = [entry for entry in entries if not _is_picture(entry)]
    return [Block(COMMENTS, _comments(vendor, _without_coding(texts))), *pictures]


def for_ogg(blocks: Sequence[Block], comments: bytes) -> bytes:
    """Texts of an Ogg file: those of ``blocks``, with the pictures, in the place of those in ``comments``.

    The name of the program stays.
    """
    texts = [entry for block in blocks if block.kind == COMMENTS for entry in _entries(block.content)[1]]
    texts += [
        _OGG_PICTURE.upper() + base64.b64encode(block.content) for block in blocks if block.kind == PICTURE
    ]
    return _comments(_entries(comments)[0], texts)


def comment_of(blocks: Sequence[Block]) -> str:
    """The comment under the name that libsndfile does not know, empty without one."""
    for block in blocks:
        if block.kind == COMMENTS:
            for entry in _entries(block.content)[1]:
                name, _, text = entry.partition(b"=")
                if name.lower() == b"description" and text:
                    return text.decode(errors="replace")
    return ""


def names_beyond(blocks: Sequence[Block], in_ogg: bool = False) -> list[str]:
    """What of them has no place in a format in which libsndfile alone writes texts, or in Ogg."""
    names = {CUE_SHEET: "cue sheet"} if in_ogg else {CUE_SHEET: "cue sheet", PICTURE: "picture"}
    found = [names[block.kind] for block in blocks if block.kind in names]
    for block in blocks:
        if block.kind == COMMENTS and not in_ogg:
            for entry in _entries(block.content)[1]:
                name = entry.partition(b"=")[0].decode(errors="replace").lower()
                if name and name not in _KNOWN and not name.startswith(_OF_PROGRAMS):
                    found.append(name[:_LONGEST_NAME])
    return list(dict.fromkeys(found))


def _entries(content: bytes) -> tuple[bytes, list[bytes]]:
    """Name of the program and the texts, ``NAME=text`` each; as many as are whole."""

    def taken(at: int) -> tuple[bytes, int]:
        size = int.from_bytes(content[at : at + 4], "little")
        return content[at + 4 : at + 4 + size], at + 4 + size

    vendor, at = taken(0)
    count, at = int.from_bytes(content[at : at + 4], "little"), at + 4
    entries: list[bytes] = []
    while len(entries) < count and at + 4 <= len(content):
        entry, at = taken(at)
        if at > len(content):
            break
        entries.append(entry)
    return vendor, entries


def _without_channels(content: bytes) -> bytes:
    vendor, entries = _entries(content)
    return _comments(vendor, _without_coding(entries))


def _without_coding(entries: list[bytes]) -> list[bytes]:
    return [entry for entry in entries if not entry.lower().startswith(_OF_THE_CODING)]


def _comments(vendor: bytes, entries: list[bytes]) -> bytes:
    texts = b"".join(len(text).to_bytes(4, "little") + text for text in entries)
    return len(vendor).to_bytes(4, "little") + vendor + len(entries).to_bytes(4, "little") + texts


def _is_picture(entry: bytes) -> bool:
    return entry[: len(_OGG_PICTURE)].lower() == _OGG_PICTURE
