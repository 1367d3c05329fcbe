"""One engine for pre-training and fine-tuning: the loop, and what it stands on.

The engine is given objects (a module that returns sums of losses, a sequence of updates) and knows
neither samples nor tasks.
"""
