"""Several files as one: a zip whose entries lie in it as they are, read within limits and from memory.

What is read may come from somebody who means no good. So nothing is unpacked, no entry is compressed, and there is
nothing in it but what its few entries hold.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

SIGNATURE = b"PK\x03\x04"
"""How an archive begins; no profile in JSON does."""
MOST_BYTES = 64 << 20
"""Of an archive. All files of all networks that ship take half of that."""
MOST_ENTRIES = 64

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _END64_SIGNATURE, _END64_BYTES = b"PK\x05\x06", b"PK\x06\x07", 20
_MOST_DIRECTORY_BYTES = MOST_ENTRIES * 512
_OF_ITS_OWNER = 0o100600 << 16
_MOMENT = (1980, 1, 1, 0, 0, 0)  # none: the same entries give the same bytes


def pack(entries: Mapping[str, bytes]) -> bytes:
    """An archive of these entries, in their order; ValueError if it would be too large to be read again."""
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"it has more than {MOST_ENTRIES} entries")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.external_attr = _OF_ITS_OWNER
            archive.writestr(entry, content)
    if packed.tell() > MOST_BYTES:
        raise ValueError("it is too large")
    return packed.getvalue()


def unpack(packed: bytes) -> dict[str, bytes]:
    """The entries of an archive as ``pack`` makes it; ValueError, whose text is a part of a sentence, for any other."""
    if len(packed) > MOST_BYTES:
        raise ValueError("it is too large")
    _check_end(packed)
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            found = archive.infolist()
            if len({entry.filename for entry in found}) < len(found):
                raise ValueError("an entry is there twice")
            if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in found):
                raise ValueError("an entry is compressed or encrypted")
            if sum(entry.file_size for entry in found) > len(packed):
                raise ValueError("its entries are larger than it")
            return {entry.filename: archive.read(entry) for entry in found}
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        OSError,
        EOFError,
        struct.error,
    ) as error:
        raise ValueError("it is cut off or damaged") from error


def _check_end(packed: bytes) -> None:
    """That it ends as ``pack`` ends it, so that no directory of millions of entries is read."""
    if not packed.startswith(SIGNATURE) or len(packed) < _END.size:
        raise ValueError("it is no archive, or cut off")
    signature, *numbers = _END.unpack(packed[-_END.size :])
    _, _, _, count, directory_bytes, _, comment_bytes = numbers
    before = packed[-_END.size - _END64_BYTES :][:4]
    if signature != _END_SIGNATURE or comment_bytes or before == _END64_SIGNATURE:
        raise ValueError("it is no archive, or cut off")
    if count > MOST_ENTRIES or directory_bytes > _MOST_DIRECTORY_BYTES:
        raise ValueError(f"it has more than {MOST_ENTRIES} entries")
