"""The live stream between devices: one worker, jitter buffers, the far end, and recovery from faults."""
