"""What can be scored, each behind the same call: a model, a peer, a command, and the two bounds."""
