"""Training of the personalised enhancement network; needs PyTorch, never runs on a device."""
