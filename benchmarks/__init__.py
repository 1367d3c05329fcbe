"""Speed and quality, measured; each module says how to run it."""
