"""One file per family of checkpoints, which declares ``FAMILY``; every file here is found."""
