"""Token store -> samples -> masked batches: pure functions over arrays (paper 4.1, 4.2)."""
