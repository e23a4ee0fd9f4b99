"""Hugging Face checkpoints: how a folder is read, and one file in `families` per family."""
