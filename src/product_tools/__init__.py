"""What the commands in scripts/ share: no command line, and nothing of the functions."""
