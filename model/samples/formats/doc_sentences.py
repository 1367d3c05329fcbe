"""DOC-SENTENCES: whole sentences of one document up to the limit (section 4.2)."""

from model.samples.packing import Packed, pack_sentences
from model.text.store import TokenStore


def pack(store: TokenStore, budget: int, separators: str) -> Packed:
    """Blocks of at most `budget` tokens and separators; each ends where its document does."""
    return pack_sentences(store, budget, separators, cross_documents=False)
