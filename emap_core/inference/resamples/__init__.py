"""Resampled data: what is drawn, the projection computed anew, and limits from that."""
