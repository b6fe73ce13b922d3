"""How good a model is: test scenes, metrics, peers and the report.

Run ``python -m evaluation --help``. This package knows `edge_pse` and nothing of training; it never imports
PyTorch. It imports nothing here, so that a peer's process needs no more than numpy and the peer itself.
"""
