"""The sizes of a network: the `model` section of a pre-training recipe, checked.

Implements the architecture table of RoBERTa (arXiv 1907.11692, table 9).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from study.errors import StudyError


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes and rates of one network, as the recipe's `model` section spells them."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    positions: int  # longest input, in tokens
    dropout: float  # on the embeddings and on each sublayer's output
    attention_dropout: float  # on the attention probabilities
    layer_norm_eps: float
    init_std: float
    vocabulary_multiple: int  # rows of the word table are padded to a multiple of this

    @classmethod
    def of(cls, values: "Mapping | NetworkConfig") -> "NetworkConfig":
        """Check a recipe's `model` section; StudyError names the first field that is wrong."""
        if isinstance(values, cls):
            return values
        names = [field.name for field in fields(cls)]
        for name in values:
            if name not in names:
                raise StudyError(f"recipe: field model.{name}: unknown; known: {', '.join(names)}")
        for name in names:
            if name not in values:
                raise StudyError(f"recipe: field model.{name}: missing")
        config = cls(**values)
        for name in ("layers", "hidden", "heads", "ffn", "positions", "vocabulary_multiple"):
            value = getattr(config, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise StudyError(f"recipe: field model.{name}: expected 1 or more, found {value!r}")
        for name in ("dropout", "attention_dropout"):
            value = getattr(config, name)
            if not 0 <= value < 1:
                raise StudyError(f"recipe: field model.{name}: expected [0, 1), found {value!r}")
        if config.hidden % config.heads:
            raise StudyError(
                f"recipe: field model.heads: {config.heads} do not divide hidden {config.hidden}"
            )
        return config

    def word_rows(self, vocabulary_size: int) -> int:
        """Rows of the word table: the vocabulary's size rounded up to `vocabulary_multiple`."""
        return -(-vocabulary_size // self.vocabulary_multiple) * self.vocabulary_multiple
