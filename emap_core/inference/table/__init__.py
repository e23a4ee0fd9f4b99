"""The table that the paper asks for: its rows, including linear probes, and their scores."""
