"""Figures of the study, as PNG and PDF: `table` (a table's scores), `curves`, `learning_rate`."""
