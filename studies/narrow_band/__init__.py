"""What the network is best shown of a stream that ends at 4 kHz."""
