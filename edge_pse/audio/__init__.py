"""Where sound comes from and goes to: files, and the change of sample rates on the way to the network."""
