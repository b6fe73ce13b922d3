"""The three forms of a report: Markdown to paste, JSON to compute with, one HTML page to listen to."""
