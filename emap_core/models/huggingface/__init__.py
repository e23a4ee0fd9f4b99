"""Checkpoints of Hugging Face: how a folder is read, and a file in `families` for each family."""
