"""What can be scored, each behind the same call: a bundle, a peer, a command, and the two bounds."""
