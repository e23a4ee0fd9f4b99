"""The table that the paper asks for: its rows, the linear probes among them, and their scores."""
