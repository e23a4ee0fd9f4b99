"""A run in words and figures, the same for pages, report, terminal and notebook."""
