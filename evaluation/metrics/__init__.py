"""Metrics: signal levels and ratios, perceptual scores, delay, and their statistics."""
