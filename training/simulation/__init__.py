"""Scenes to train on: recordings, rooms, microphones, echo, and what of them is mixed."""
