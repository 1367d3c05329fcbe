"""Figures of the study, as PNG and PDF, of the size at which they are printed."""
