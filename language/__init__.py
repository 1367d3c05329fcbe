"""A generated English-like world: corpora and tasks in the hub's formats, deterministic by seed."""
