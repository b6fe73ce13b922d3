"""From a trained checkpoint to the model files that the device library runs."""
