"""Audio files: read and written in blocks, enhanced from end to end."""
