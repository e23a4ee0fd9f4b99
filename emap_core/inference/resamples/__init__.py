"""Data sets drawn anew: what is drawn, the projection computed again, and limits from it all."""
