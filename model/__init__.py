"""From text to fine-tuned models: text, samples, network, training, tasks, and their commands."""
