"""Scenes to learn from, made on the fly. Nothing here knows the network that learns.

- ``corpus``: recordings, decoded once: speech by voice, noise.
- ``rooms``: room responses, simulated and measured.
- ``augmentation``: what happens to sound on its way: microphones, loudspeakers, gain control, codecs; synthetic noise.
- ``echo``: the far side of a call: what a loudspeaker plays, late, distorted, through the room.
- ``scenes``: who talks when, how loud and where; mixtures, their targets and the enrollments of a step.
"""
