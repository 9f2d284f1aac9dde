"""The command line of this room; each command imports what it needs only when it runs."""
