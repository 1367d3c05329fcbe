"""Statistics of replicates: pure functions of numbers; nothing here reads a run."""
