"""FULL-SENTENCES: whole sentences up to the limit, across the ends of documents (section 4.2)."""

from model.samples.packing import Packed, pack_sentences
from model.text.store import TokenStore


def pack(store: TokenStore, budget: int, separators: str) -> Packed:
    """Blocks of at most `budget` tokens and separators, which may hold several documents."""
    return pack_sentences(store, budget, separators, cross_documents=True)
