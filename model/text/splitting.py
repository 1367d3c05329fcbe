"""A shard of a corpus: documents in, a parquet file of their sentences out (paper 3.2, 4.2).

Columns of `sentences.parquet`, one row per document that has a sentence:

    id         uint64        first 8 bytes of BLAKE2b of the text
    heldout    bool          id below `heldout_fraction` of 2**64: the same documents at any shards
    sentences  list<string>  natural sentences, in order

A blank line ends a paragraph and so a sentence; a heading on its own is therefore a sentence.
Blanks and line breaks inside a sentence become one blank, and sentences have none at either end.
The rules for abbreviations, initials and numbers are those of `sentencex`, with one addition: it
never splits inside a quotation, which makes one sentence of a whole speech in a novel, so
quotations that open a sentence are split here. docs/sentence-splitting.md compares the candidates.
With splitter `lines` the sentences are the lines of the text.

Documents are read, split and written in blocks of a few million characters. Half a surrogate pair,
which JSON can spell and UTF-8 cannot, becomes U+FFFD.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sentencex import segment

from model.text.sources import open_parquet

SENTENCES_FILE = "sentences.parquet"
SCHEMA = pa.schema(
    [("id", pa.uint64()), ("heldout", pa.bool_()), ("sentences", pa.list_(pa.string()))]
)
BLOCK_CHARACTERS = 4_000_000
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
PARAGRAPH_END = re.compile(r"\n\s*\n|\u2029")
CLOSING_QUOTE = {'"': '"', "“": "”", "'": "'", "‘": "’"}
SENTENCE_FINAL = tuple(".!?…")


def document_id(text: str) -> int:
    """64-bit hash of a document's text; equal texts are held out together."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def is_heldout(identity: int, fraction: float) -> bool:
    """Whether a document belongs to the held-out `fraction`."""
    return identity < int(fraction * 2**64)


def shard_range(documents: int, shard: int, shards: int) -> tuple[int, int]:
    """First document of a shard and the one after its last."""
    return documents * shard // shards, documents * (shard + 1) // shards


def documents_within(texts: Iterable[str], limit: int) -> int:
    """How many of the first documents hold at most `limit` bytes of UTF-8 text together.

    At least one, and all if they hold less; the texts are read no further than that.
    """
    count = size = 0
    for text in texts:
        size += len(text.encode(errors="surrogatepass"))
        if count and size > limit:
            break
        count += 1
    return count


def write_sentences(
    texts: Iterable[str],
    path: Path,
    language: str,
    heldout_fraction: float,
    splitter: str = "sentencex",
) -> dict:
    """Split `texts` and write `path`; about a share `heldout_fraction` of them is held out.

    Returns the figures: per split ("train", "heldout") documents, sentences, characters, words
    and bytes of the sentences, and `empty_documents`, those left out.
    """
    names = ("documents", "sentences", "characters", "words", "bytes")
    counts = {split: dict.fromkeys(names, 0) for split in ("train", "heldout")}
    rows, characters, empty = [], 0, 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=1) as file:
        for text in texts:
            text = LONE_SURROGATE.sub("\ufffd", text)
            sentences = SPLITTERS[splitter](text, language)
            if not sentences:
                empty += 1
                continue
            identity = document_id(text)
            heldout = is_heldout(identity, heldout_fraction)
            _count(counts["heldout" if heldout else "train"], sentences)
            rows.append({"id": identity, "heldout": heldout, "sentences": sentences})
            characters += len(text)
            if characters >= BLOCK_CHARACTERS:
                file.write_batch(pa.RecordBatch.from_pylist(rows, SCHEMA))
                rows, characters = [], 0
        if rows:
            file.write_batch(pa.RecordBatch.from_pylist(rows, SCHEMA))
    return {**counts, "empty_documents": empty}


def _count(counts: dict[str, int], sentences: list[str]) -> None:
    """Add a document's figures to `counts`."""
    joined = "".join(sentences)
    counts["documents"] += 1
    counts["sentences"] += len(sentences)
    counts["characters"] += len(joined)
    counts["words"] += sum(len(sentence.split()) for sentence in sentences)
    counts["bytes"] += len(joined.encode())


def read_blocks(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the file's row groups, one at a time."""
    with open_parquet(path) as parquet:
        for group in range(parquet.num_row_groups):
            yield from parquet.read_row_group(group, columns=columns).combine_chunks().to_batches()


def training_sentences(path: Path) -> Iterator[list[str]]:
    """Yield the sentences of the documents that are not held out, a block at a time."""
    for block in read_blocks(path, ["heldout", "sentences"]):
        kept = block.filter(pc.invert(block.column("heldout")))
        yield kept.column("sentences").flatten().to_pylist()


def split_with_sentencex(text: str, language: str) -> list[str]:
    """Sentences of a document, in order; an empty list for a blank one."""
    sentences = []
    for paragraph in PARAGRAPH_END.split(text):
        for piece in segment(language, " ".join(paragraph.split())):
            sentence = piece.strip()
            if sentence[:1] in CLOSING_QUOTE:
                sentences.extend(_split_quotations(sentence, language))
            elif sentence:
                sentences.append(sentence)
    return sentences


def lines_of(text: str, language: str) -> list[str]:
    """The lines of a document that are not blank: sentences as BERT's input gives them."""
    return [" ".join(line.split()) for line in text.split("\n") if line.strip()]


def _split_quotations(sentence: str, language: str) -> list[str]:
    """Split a sentence that opens with a quotation at the sentence ends inside it.

    Two quotations in a row are two speakers, so a new sentence also starts between them.
    """
    sentences, rest = [], sentence
    while rest[:1] in CLOSING_QUOTE:
        end = _quotation_end(rest)
        if end < 0:
            break
        inside = [piece.strip() for piece in segment(language, rest[1:end]) if piece.strip()]
        if len(inside) > 1:
            *whole, last = [rest[0] + inside[0], *inside[1:]]
        else:
            whole, last = [], rest[:end]
        sentences += whole
        tail = rest[end + 1 :]
        if last.endswith(SENTENCE_FINAL) and tail[1:2] in CLOSING_QUOTE and tail[0] == " ":
            sentences.append(last + rest[end])
            rest = tail[1:]
        else:
            return [*sentences, last + rest[end:]]
    return [*sentences, rest] if rest else sentences


def _quotation_end(text: str) -> int:
    """Index of the mark that closes the quotation opened by the first character; -1 if none.

    An apostrophe is no closing mark: a single quote closes only before a blank or the end.
    """
    closing = CLOSING_QUOTE[text[0]]
    end = text.find(closing, 1)
    while closing in "'’" and 0 <= end < len(text) - 1 and text[end + 1] != " ":
        end = text.find(closing, end + 1)
    return end


SPLITTERS = {"sentencex": split_with_sentencex, "lines": lines_of}
