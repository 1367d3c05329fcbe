"""What comes out: scores -> medians -> tables, figures, provenance, the plan. Trains nothing."""
