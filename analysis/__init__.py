"""What comes out: scores -> medians -> tables. Reads manifests only; trains nothing."""
