"""What comes out: scores -> medians -> tables, and the plan. Reads manifests; trains nothing."""
