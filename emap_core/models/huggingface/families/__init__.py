"""A family of checkpoints a file, which declares it as ``FAMILY``; whatever lies here is found."""
