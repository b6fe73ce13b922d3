"""Where sound comes from and goes to; what happens to it is the work of ``edge_pse.enhancer``.

- ``files``: audio files, read and written in blocks, enhanced from end to end.
- ``devices``: microphones and outputs, the sound server, and the virtual microphone.
- ``live``: the stream between devices, which stands on the other two.
- ``stream``: what a pipe or a connection carries, enhanced as it comes.
- ``pcm``: samples of all formats from and to floating point.
"""
