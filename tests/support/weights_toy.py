"""A tiny model of transformers, saved in a folder with a tokenizer.json of its own."""

from pathlib import Path

from model.text.vocabulary_training import train_vocabulary

TEXTS = ["The cat sat on a mat.", "Who sat? The dog, in 1984.", "hello  world"]
ENTRIES = 280
# As scale smoke has them (config/scales/smoke.yaml): 64 positions and the pads of RoBERTa.
SIZES = {
    "num_hidden_layers": 1,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}


def save_roberta(folder: Path, **changes) -> Path:
    """A RobertaForMaskedLM with random weights, as transformers saves it, and its tokenizer."""
    # imported here: it takes seconds
    import torch
    from transformers import RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(0)
    tokenizer = train_vocabulary(lambda: [TEXTS], "byte-bpe", ENTRIES, lowercase=False)
    config = RobertaConfig(vocab_size=tokenizer.get_vocab_size(), **{**SIZES, **changes})
    RobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
