"""Pictures: what cameras see of a town and of what moves in it."""
