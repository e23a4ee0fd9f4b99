"""Models behind a server: a file each for the requests, the connection and the kept answers."""
