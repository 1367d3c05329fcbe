"""FULL-SENTENCES: whole sentences up to the limit, across the ends of documents (section 4.2)."""

from model.samples.packing import Add, Counts, pack_sentences
from model.text.store import TokenStore


def pack(store: TokenStore, budget: int, add: Add, separators: str) -> Counts:
    """Blocks of at most `budget` tokens and separators, which may hold several documents."""
    return pack_sentences(store, budget, separators, True, add)
