"""Arithmetic of one pre-training token, for utilisation (share of the measured peak).

Counts the matrix products of a forward and a backward pass (3 x forward) that the objective needs:
encoder matrices, attention, and the masked-language head on the target positions only. Work that
an implementation does beyond that (padding, logits that no loss reads) does not count.
"""

from study.cells import Model


def flops_per_token(
    config: Model,
    length: int,
    vocabulary_size: int,
    target_share: float = 0.15,
) -> float:
    """Floating-point operations per token of `length`-token rows, forward and backward.

    `target_share` is the share of tokens that the masked-language head predicts; 0 for fine-tuning,
    whose heads cost next to nothing.
    """
    per_layer = 4 * config.hidden**2 + 2 * config.hidden * config.ffn
    attention = 2 * length * config.hidden
    head = target_share * (config.hidden**2 + config.hidden * vocabulary_size)
    return 6 * (config.layers * (per_layer + attention) + head)
