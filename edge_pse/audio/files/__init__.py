"""Audio files: read and written in blocks, enhanced from end to end, in constant memory.

- ``reading``: files of any format, in blocks of checked samples; several as one recording.
- ``writing``: new files that come to their place whole, with the tags and the coding of their source.
- ``enhancing``: a whole file through the network.
- ``places``: which files of many go where.
- ``many``: many files, some at a time.
- ``speaking``: who speaks in a file, second by second.
- ``chunks``: the chunks of WAV and its relatives, and headers that were never finished.
- ``id3``: titles and artists of MP3 files.
- ``vorbis_comments``: texts and pictures of FLAC and Ogg files; ``flac_blocks``, ``ogg_pages``: where they stand.
- ``editing``: reading and changing the middle of a file.
- ``pipe_reading``, ``pipe_writing``: WAV and FLAC of unknown length, onwards only.
- ``ffmpeg``: formats that libsndfile does not know.
"""

from edge_pse.audio.files.enhancing import EnhancedFile, ProgressCallback, enhance_file
from edge_pse.audio.files.many import (
    Done,
    Event,
    Failed,
    Manner,
    Progress,
    available_cores,
    enhance_many,
)
from edge_pse.audio.files.pipe_writing import PIPE_FORMATS
from edge_pse.audio.files.places import Job, is_sound, jobs_of
from edge_pse.audio.files.reading import CHOICE_SECONDS, AudioReader, read_recordings, select_channels
from edge_pse.audio.files.writing import AudioWriter

__all__ = [
    "CHOICE_SECONDS",
    "PIPE_FORMATS",
    "AudioReader",
    "AudioWriter",
    "Done",
    "EnhancedFile",
    "Event",
    "Failed",
    "Job",
    "Manner",
    "Progress",
    "ProgressCallback",
    "available_cores",
    "enhance_file",
    "enhance_many",
    "is_sound",
    "jobs_of",
    "read_recordings",
    "select_channels",
]
