"""The band above 8 kHz: by which rule it is kept or taken away, and what other rules would bring."""
