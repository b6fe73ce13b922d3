"""Sound devices: found, opened, watched; the sound server and the virtual microphone."""
