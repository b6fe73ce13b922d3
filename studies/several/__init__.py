"""Several enrolled voices: how they are kept at once, and who of them speaks."""
