"""Several enrolled voices: ``python -m studies who`` says how often it is wrong who of them speaks."""
