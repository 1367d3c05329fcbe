"""The network: micro-batches -> encoder -> heads -> loss sums, and its Hugging Face twin."""
