"""A run in words and pictures, the same for pages, report, terminal and notebook."""
