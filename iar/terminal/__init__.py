"""What a command tells its user: the console, the log of a run, and what is kept out of both."""
