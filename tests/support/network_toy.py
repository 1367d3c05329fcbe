"""A tiny network and micro-batches for it, shared by the tests of model/network."""

import torch

from study.cells import Model

VOCABULARY = 100  # rounded up to 128 rows
CONFIG = {
    "layers": 2,
    "hidden": 32,
    "heads": 4,
    "ffn": 64,
    "positions": 24,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "layer_norm_eps": 1e-5,
    "init_std": 0.02,
    "vocabulary_multiple": 64,
}
PAD = 1


def config(**changes) -> Model:
    """The tiny network's sizes with some changed."""
    return Model(**{**CONFIG, **changes})


def randomise(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights far from their initial values, so that no bias or LayerNorm is the identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            centre = 1.0 if "norm.weight" in name else 0.0
            tensor.copy_(centre + 0.2 * torch.randn(tensor.shape, generator=generator))
    return module


def inputs(lengths=(24, 13, 5), length=24, seed=0) -> dict[str, torch.Tensor]:
    """ids with padding, lengths, segments and keys of dropout of some rows."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, VOCABULARY, (len(lengths), length), generator=generator)
    lengths = torch.tensor(lengths)
    padded = torch.arange(length) >= lengths[:, None]
    segments = (torch.arange(length) >= lengths[:, None] // 2).long() * ~padded
    keys = torch.randint(-(2**63), 2**63 - 1, ids.shape, generator=generator)
    return {
        "ids": ids.masked_fill(padded, PAD),
        "lengths": lengths,
        "segments": segments,
        "keys": keys,
    }


def pretraining_micro(slots=4, seed=0, **options) -> dict[str, torch.Tensor]:
    """A micro-batch for PretrainingModel; the last slot of every row is unused."""
    micro = inputs(seed=seed, **options)
    generator = torch.Generator().manual_seed(seed + 1)
    rows = len(micro["lengths"])
    order = torch.rand(rows, micro["ids"].shape[1], generator=generator)
    order[torch.arange(micro["ids"].shape[1]) >= micro["lengths"][:, None]] = -1
    weights = torch.ones(rows, slots)
    weights[:, -1] = 0
    weights[micro["lengths"] == 0] = 0
    return {
        **micro,
        "positions": order.argsort(descending=True)[:, :slots].contiguous(),
        "labels": torch.randint(4, VOCABULARY, (rows, slots), generator=generator),
        "weights": weights,
        "nsp": torch.randint(0, 2, (rows,), generator=generator),
        "nsp_weights": (micro["lengths"] > 0).float(),
    }
