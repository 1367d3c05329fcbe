"""What two results folders hold, compared: `analysis.compare` writes it."""
