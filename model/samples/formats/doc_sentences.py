"""DOC-SENTENCES: whole sentences of one document up to the limit (section 4.2)."""

from model.samples.packing import Add, Counts, pack_sentences
from model.text.store import TokenStore


def pack(store: TokenStore, budget: int, add: Add, separators: str) -> Counts:
    """Blocks of at most `budget` tokens and separators; each ends where its document does."""
    return pack_sentences(store, budget, separators, False, add)
