"""What comes out: scores -> medians -> tables, figures, provenance. Trains nothing."""
