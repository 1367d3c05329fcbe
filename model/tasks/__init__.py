"""Fine-tuning tasks: examples -> features -> batches -> predictions -> metrics (protocol §7-10)."""
