"""How large a network is, without building it: parameters, bytes while it trains, FLOPs of a token.

In: the `model` section of a recipe, the vocabulary's size, what the input format has. Out: exact
numbers of parameters, and memory and arithmetic by stated formulas. Needs no torch.

Legend: H hidden, F feed-forward, L layers, N heads, W rows of the word table, V vocabulary,
P positions, b bytes of an activation (4, or 2 in bf16 and fp16), m of a dropout mask's element.
"""

from study.cells import Model

FP32 = 4


def encoder_parameters(config: Model, vocabulary_size: int, segments: bool) -> int:
    """Parameters of the encoder: (W + P + 2 if segments) H tables, one LayerNorm, L layers."""
    hidden, ffn = config.hidden, config.ffn
    rows = config.word_rows(vocabulary_size) + config.positions + (2 if segments else 0)
    matrices = 4 * hidden * (hidden + 1) + ffn * (hidden + 1) + hidden * (ffn + 1)
    return rows * hidden + 2 * hidden + config.layers * (matrices + 4 * hidden)


def pretraining_parameters(config: Model, vocabulary_size: int, segments: bool, nsp: bool) -> int:
    """Parameters with the masked-language head (tied to the word table) and, with `nsp`, its own.

    They are what a pre-training's model.safetensors holds, 4 bytes each.
    """
    dense = config.hidden * (config.hidden + 1)
    mlm = dense + 2 * config.hidden + vocabulary_size
    pooler = dense + 2 * (config.hidden + 1) if nsp else 0
    return encoder_parameters(config, vocabulary_size, segments) + mlm + pooler


def vocabulary_parameters(config: Model, vocabulary_size: int, *, decoder: bool = True) -> int:
    """Parameters that a vocabulary adds (section 4.4): W H of the word table, V of the decoder."""
    return config.word_rows(vocabulary_size) * config.hidden + decoder * vocabulary_size


def checkpoint_bytes(parameters: int, moments: int) -> int:
    """Bytes of one checkpoint: weights and the optimiser's moments (per parameter), fp32."""
    return (1 + moments) * FP32 * parameters


def state_bytes(parameters: int, moments: int, precision: str, mode: str) -> int:
    """Bytes that stay between updates or are there at its end, on each device.

    Weights, gradients and the optimiser's moments (per parameter) in fp32; under bf16 and fp16 the
    casted weights (2); in exact mode the int64 sums and their fp32 total (12).
    """
    each = (2 + moments) * FP32
    each += 0 if precision == "fp32" else 2
    each += 12 if mode == "exact" else 0
    return each * parameters


def activation_bytes(
    config: Model,
    vocabulary_size: int,
    *,
    tokens: int,
    length: int,
    target_share: float,
    precision: str,
    device: str,
) -> float:
    """Bytes that the backward pass of one micro-batch of `tokens` in rows of `length` needs.

    Per token and layer: inputs of the matrix products, queries, keys, values, LayerNorms and two
    dropout masks, H (8 b + 2 m) + 2 F b, where a mask's element has m bytes: 1, on the CPU b, none
    without dropout. Where attention with dropout has no fused kernel (CPU), also its
    probabilities, N length (2 b + m). In pre-training's last layer only targets have more than the
    layer's input, queries, keys and values, 4 H b. Per target: logits, their fp32 copy and softmax,
    W (b + 8), on the CPU the logits' gradient, W b.
    For m = 1, b = 2 and F = 4 H this is the 34 H of Korthikanti et al. (arXiv 2205.05198).
    """
    size = FP32 if precision == "fp32" else 2
    mask = (size if device == "cpu" else 1) if config.dropout > 0 else 0
    per_layer = config.hidden * (8 * size + 2 * mask) + 2 * config.ffn * size
    if device == "cpu" and config.attention_dropout > 0:
        per_layer += config.heads * length * (2 * size + mask)
    of_others = 4 * config.hidden * size
    # A head of fine-tuning may read every token.
    last_layer = of_others + (target_share or 1.0) * (per_layer - of_others)
    per_word = size if device == "cpu" else size + 8
    head = target_share * config.word_rows(vocabulary_size) * per_word
    return tokens * ((config.layers - 1) * per_layer + last_layer + head)


def flops_per_token(
    config: Model,
    length: float,
    vocabulary_size: int,
    target_share: float = 0.15,
    read_share: float = 1.0,
) -> float:
    """Floating-point operations per token of `length`-token rows, forward and backward (3 x).

    Counts the matrix products that the objective needs: encoder matrices, attention, and the
    masked-language head on the share `target_share` of the tokens (0 for fine-tuning, whose heads
    cost next to nothing). Work beyond that (padding, logits that no loss reads) does not count. All
    layers count in full, as is usual. What is really worked out is less: of the last layer, beside
    all keys and values, only what the share `read_share` of the tokens needs, those that a head
    reads.
    """
    per_layer = 4 * config.hidden**2 + 2 * config.hidden * config.ffn
    attention = 2 * length * config.hidden
    unread = (1 - read_share) * (per_layer - 2 * config.hidden**2 + attention)
    head = target_share * (config.hidden**2 + config.hidden * vocabulary_size)
    return 6 * (config.layers * (per_layer + attention) - unread + head)
