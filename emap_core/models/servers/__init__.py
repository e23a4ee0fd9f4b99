"""Models behind a server: one file for what is asked, one for how, one for what was answered."""
