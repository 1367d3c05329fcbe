"""Formats: literal inputs of a toy corpus, and what holds for any corpus."""

import itertools
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_toy import (
    PAIR_FORMATS,
    all_tokens,
    build,
    corpora,
    inputs,
    mixed_corpora,
    numbered,
    random_store,
    store_of,
    toy_store,
    toy_vocabulary,
)

from model.samples import formats, packing, pairs, units
from model.samples.formats import blocks, segment_pair, sentence_pair
from model.samples.gather import Gatherer
from model.samples.index import NEXT, RANDOM, Samples, sample_files
from model.samples.units import units_of
from model.text.store import TokenStore
from study.errors import StudyError
from study.formats import FORMATS

LITERAL = {
    ("full-sentences", "document", 12): [
        [0, 10, 11, 12, 13, 14, 15, 2, 20, 21, 2],
        [0, 22, 23, 24, 25, 2, 30, 31, 32, 2],
        [0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 2],
        [0, 43, 44, 45, 2],
    ],
    ("full-sentences", "sentence", 12): [
        [0, 10, 11, 12, 2, 13, 14, 2, 15, 2],
        [0, 20, 21, 2, 22, 23, 24, 25, 2],
        [0, 30, 31, 32, 2],
        [0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 2],
        [0, 43, 2, 44, 45, 2],
    ],
    # fairseq's pattern: one separator per sentence and one more between documents
    ("full-sentences", "sentence", 14): [
        [0, 10, 11, 12, 2, 13, 14, 2, 15, 2, 2, 20, 21, 2],
        [0, 22, 23, 24, 25, 2, 2, 30, 31, 32, 2],
        [0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 2],
        [0, 44, 45, 2],
    ],
    ("doc-sentences", "document", 12): [
        [0, 10, 11, 12, 13, 14, 15, 2],
        [0, 20, 21, 22, 23, 24, 25, 2],
        [0, 30, 31, 32, 2],
        [0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 2],
        [0, 43, 44, 45, 2],
    ],
    ("doc-sentences", "sentence", 12): [
        [0, 10, 11, 12, 2, 13, 14, 2, 15, 2],
        [0, 20, 21, 2, 22, 23, 24, 25, 2],
        [0, 30, 31, 32, 2],
        [0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 2],
        [0, 43, 2, 44, 45, 2],
    ],
    ("blocks", "document", 12): [
        [0, 10, 11, 12, 13, 14, 15, 2, 20, 21, 22, 2],
        [0, 23, 24, 25, 2, 30, 31, 32, 33, 34, 35, 2],
        [0, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 2],
    ],
    # The second block is shorter: a cut falls on the separator before it
    ("blocks", "sentence", 14): [
        [0, 10, 11, 12, 2, 13, 14, 2, 15, 2, 2, 20, 21, 2],
        [0, 22, 23, 24, 25, 2, 2, 30, 31, 32, 2, 33, 2],
        [0, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 2, 44, 2],
        [0, 45, 2],
    ],
    ("segment-pair", "document", 12): [
        [0, 10, 11, 12, 13, 14, 2, 15, 2],
        [0, 20, 21, 2, 22, 23, 24, 25, 2],
        [0, 30, 31, 32, 2, 13, 14, 15, 2],
        [0, 33, 34, 35, 36, 2, 20, 21, 22, 23, 24, 2],
        [0, 37, 38, 39, 40, 41, 2, 22, 23, 24, 25, 2],
        [0, 42, 43, 2, 20, 21, 22, 23, 24, 25, 2],
        [0, 44, 45, 2, 13, 14, 15, 2],
    ],
    # Nothing is as long as the input here: BERT's builder, with its truncation
    ("segment-pair", "document", 16): [
        [0, 10, 11, 12, 13, 14, 2, 15, 2],
        [0, 20, 21, 2, 22, 23, 24, 25, 2],
        [0, 30, 31, 32, 2, 13, 14, 15, 2],
        [0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 2, 20, 21, 2],
        [0, 44, 45, 2, 13, 14, 15, 2],
    ],
    ("sentence-pair", "document", 12): [
        [0, 10, 11, 12, 2, 37, 38, 39, 40, 41, 2],
        [0, 13, 14, 2, 15, 2],
        [0, 15, 2, 20, 21, 2],
        [0, 20, 21, 2, 22, 23, 24, 25, 2],
        [0, 22, 23, 24, 25, 2, 15, 2],
        [0, 30, 31, 32, 2, 33, 34, 35, 36, 2],
        [0, 33, 34, 35, 36, 2, 37, 38, 39, 40, 41, 2],
        [0, 37, 38, 39, 40, 41, 2, 22, 23, 24, 25, 2],
        [0, 42, 43, 2, 44, 45, 2],
        [0, 44, 45, 2, 13, 14, 2],
    ],
    ("sentence-pair", "document", 16): [
        [0, 10, 11, 12, 2, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 2],
        [0, 13, 14, 2, 15, 2],
        [0, 15, 2, 20, 21, 2],
        [0, 20, 21, 2, 22, 23, 24, 25, 2],
        [0, 22, 23, 24, 25, 2, 15, 2],
        [0, 30, 31, 32, 2, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 2],
        [0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 2, 44, 45, 2],
        [0, 44, 45, 2, 13, 14, 2],
    ],
}


@pytest.mark.parametrize(("format", "separators", "length"), LITERAL)
def test_literal_inputs(format, separators, length):
    samples = build(toy_store(), format, length, separators, seed=0)
    assert inputs(toy_store(), samples) == LITERAL[format, separators, length]


def test_the_examples_beside_the_code():
    """Three sentences in two documents, as the modules work them out."""
    store = store_of([[[10, 11, 12], [13, 14]], [[20, 21]]])
    blocks = inputs(store, build(store, "full-sentences", 6 + 2))
    assert blocks == [[0, 10, 11, 12, 13, 14, 2], [0, 20, 21, 2]]
    assert inputs(store, build(store, "full-sentences", 8 + 2)) == [
        [0, 10, 11, 12, 13, 14, 2, 20, 21, 2]
    ]
    assert inputs(store, build(store, "blocks", 4 + 2)) == [
        [0, 10, 11, 12, 13, 2],
        [0, 14, 2, 20, 21, 2],
    ]
    chunks = {build(store, "segment-pair", 4 + 3, seed=s).starts.shape[0] for s in range(9)}
    assert chunks == {2, 3}  # NEXT uses sentences 0 and 1 at once, RANDOM only sentence 0
    pairs = build(store, "sentence-pair", 4 + 3, seed=0)
    assert pairs.figures["forced"] == 2
    assert pairs.labels.tolist() == [NEXT, RANDOM, RANDOM]
    wholes, halves = (units_of(numbered([[3, 9, 2]]), 4, parts) for parts in (1, 2))
    assert (len(wholes), len(halves)) == (5, 7)
    assert wholes.starts(np.arange(6)).tolist() == [0, 3, 7, 11, 12, 14]
    assert halves.starts(np.arange(8)).tolist() == [0, 3, 5, 7, 9, 11, 12, 14]
    assert (wholes.long.tolist(), wholes.further.tolist()) == ([1], [0, 2])


@pytest.mark.parametrize("format", PAIR_FORMATS)
def test_separators_setting_does_not_reach_into_pairs(format):
    one, other = (build(toy_store(), format, 12, how, seed=0) for how in ("document", "sentence"))
    assert inputs(toy_store(), one) == inputs(toy_store(), other)


def test_literal_labels_documents_and_segments():
    samples = build(toy_store(), "segment-pair", 12, "document", seed=0)
    assert samples.labels.tolist() == [NEXT, NEXT, *[RANDOM] * 5]
    assert samples.documents.tolist() == [[0, 0], [1, 1], [2, 0], [2, 1], [2, 1], [2, 1], [2, 0]]
    segments = Gatherer(toy_store(), samples, toy_vocabulary()).segments(np.array([0, 1]), 12)
    assert segments.tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0],
    ]


def test_literal_figures():
    full = build(toy_store(), "full-sentences", 12)
    assert full.figures == {"samples": 4, "tokens": 38, "sentences": 8, "split_sentences": 1}
    pairs = build(toy_store(), "segment-pair", 12, seed=0)
    assert pairs.figures == {
        "samples": 7,
        "tokens": 70,
        "sentences": 8,
        "split_sentences": 1,
        "next": 2,
        "random": 5,
        "forced": 1,
        "truncated_tokens": 1,
        "store_tokens": 28,
        "shown_tokens": 28,
    }
    # The first token of the sentence of eleven is cut off wherever it stands: shown nowhere.
    figures = build(toy_store(), "segment-pair", 15, seed=0).figures
    assert (figures["store_tokens"], figures["shown_tokens"]) == (28, 27)


@settings(max_examples=60, deadline=None)
@given(corpora, st.sampled_from(["document", "sentence"]), st.integers(8, 24))
def test_blocks_hold_every_token_once_and_fit(lengths, separators, length):
    store = numbered(lengths)
    document = np.repeat(np.arange(len(lengths)), [sum(d) for d in lengths])
    starts = set(store.sentences.tolist())
    for format in ("full-sentences", "doc-sentences"):
        samples = build(store, format, length, separators)
        rows = inputs(store, samples)
        text = [i for row in rows for i in row if i >= 4]
        assert text == all_tokens(store)
        assert [len(row) for row in rows] == samples.lengths.tolist()
        for row, start, size in zip(rows, samples.starts[:, 0], samples.sizes[:, 0], strict=True):
            assert len(row) <= length
            assert row[0] == 0
            assert row[-1] == 2
            assert row[1] >= 4
            assert row[-2] >= 4
            assert row.count(0) == 1
            inner = [s for s in starts if start < s < start + size]
            crossings = len(set(document[start : start + size])) - 1
            if format == "doc-sentences":
                assert crossings == 0
            expected = crossings + (len(inner) if separators == "sentence" else 0)
            assert row.count(2) == 1 + expected
            # A block starts at a sentence, or inside one that is longer than the input.
            if start not in starts:
                sentence = np.searchsorted(store.sentences, start) - 1
                assert np.diff(store.sentences)[sentence] > length - 2


@settings(max_examples=60, deadline=None)
@given(corpora, st.sampled_from(["document", "sentence"]), st.integers(8, 24))
def test_fixed_blocks_are_running_text_cut_every_so_many_places(lengths, separators, length):
    store = numbered(lengths)
    text, split, begins = [], set(), {}
    for document, (first, last) in enumerate(itertools.pairwise(store.documents)):
        text += [2] * (document > 0)
        for sentence in range(first, last):
            text += [2] * (separators == "sentence" and sentence > 0)
            begins[len(text)] = sentence
            text += store.read(*store.sentences[sentence : sentence + 2, None]).tolist()
    expected = []
    for cut in range(0, len(text), length - 2):
        block = text[cut : cut + length - 2]
        while block[0] == 2:
            block.pop(0)
        while block[-1] == 2:
            block.pop()
        expected.append([0, *block, 2])
        if text[cut] != 2 and cut not in begins:
            split.add(max(begin for begin in begins if begin < cut))
    samples = build(store, "blocks", length, separators)
    assert inputs(store, samples) == expected
    assert samples.lengths.tolist() == [len(row) for row in expected]
    ends = np.cumsum([sum(document) for document in lengths])
    assert (
        samples.documents[:, 0].tolist()
        == np.searchsorted(ends, samples.starts[:, 0], side="right").tolist()
    )
    assert samples.figures["split_sentences"] == len(split)


@settings(max_examples=60, deadline=None)
@given(corpora, st.integers(8, 24), st.integers(0, 3))
def test_blocks_are_full(lengths, length, seed):
    """The first sentence of the next block would not have fitted."""
    store = numbered(lengths)
    samples = build(store, "full-sentences", length)
    limit = length - 2
    for i in range(len(samples) - 1):
        following = samples.starts[i + 1, 0]
        sentence_end = store.sentences[np.searchsorted(store.sentences, following, side="right")]
        crosses = samples.documents[i + 1, 0] != _last_document(samples, store, i)
        piece = min(sentence_end - following, limit)
        assert samples.lengths[i] + crosses + piece > length


def _last_document(samples: Samples, store: TokenStore, i: int) -> int:
    ends = store.sentences[store.documents]
    last = samples.starts[i, 0] + samples.sizes[i, 0] - 1
    return int(np.searchsorted(ends, last, side="right")) - 1


def test_long_sentence_is_split_without_loss():
    store = numbered([[3, 100, 2]])
    samples = build(store, "doc-sentences", 32)
    assert samples.figures["split_sentences"] == 1
    assert samples.sizes[:, 0].tolist() == [3, 30, 30, 30, 12]


@contextmanager
def windows_of(size: int, span: int, buckets: int):
    """Formats look at so many units, documents and samples at once, and at so many tokens."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (units, packing, pairs, blocks, segment_pair, sentence_pair):
            patch.setattr(module, "WINDOW", size)
        patch.setattr(pairs, "SPAN", span)
        patch.setattr(sentence_pair, "BUCKETS", buckets)
        yield


@settings(max_examples=40, deadline=None)
@given(
    mixed_corpora,
    st.lists(st.integers(0, 2), min_size=14, max_size=14),
    st.sampled_from([(name, how) for name in FORMATS for how in ("document", "sentence")]),
    st.integers(8, 48),
    st.integers(1, 9),
)
def test_windows_of_any_size_give_the_same_samples(lengths, corpora, format, length, window):
    """Of units, documents, samples and tokens; long sentences, corpora that take turns."""
    store = replace(numbered(lengths), corpora=np.array(corpora[: len(lengths)], np.uint8))
    asked = (store, format[0], length, format[1], 3, "corpus")
    whole = build(*asked)
    with windows_of(window, span=11 * window, buckets=window):
        found = build(*asked)
    assert found.figures == whole.figures
    for array, expected in whole.arrays.items():
        assert np.array_equal(found.arrays[array], expected)


@pytest.mark.parametrize("format", FORMATS)
def test_memory_does_not_grow_with_the_store(format):
    """Six times as many sentences, windows of the same size."""
    peaks = []
    for documents in (250, 1500):
        store = random_store(documents, longest=30)
        with windows_of(256, span=1 << 12, buckets=4):
            tracemalloc.start()
            build(store, format, 32, negatives="corpus")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks


@given(mixed_corpora, st.integers(4, 40), st.sampled_from([1, 2]), st.integers(1, 9))
def test_units_partition_the_tokens_sentence_by_sentence(lengths, budget, parts, window):
    """Against a walk over all sentences, for units in any order."""
    begins, firsts, total = [], [], 0
    for document in lengths:
        firsts.append(len(begins))
        for size in document:
            pieces = 1 if size <= budget - (parts - 1) else -(-size * parts // budget)
            begins += [total + piece * budget // parts for piece in range(pieces)]
            total += size
    firsts.append(len(begins))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "WINDOW", window)
        found = units_of(numbered(lengths), budget, parts)
    order = np.random.default_rng(0).permutation(len(begins) + 1)
    assert len(found) == len(begins)
    assert found.starts(order).tolist() == np.array([*begins, total])[order].tolist()
    assert found.firsts(np.arange(len(firsts))).tolist() == firsts
    units_left, tokens = np.arange(len(begins)), order[1:] - 1
    stops = np.array(firsts)[np.searchsorted(firsts, units_left, side="right")]
    ends = np.searchsorted([*begins, total], np.array(begins) + np.maximum(tokens, 1), side="left")
    expected = np.minimum(ends, stops).tolist()
    assert found.filled(units_left, stops, tokens).tolist() == expected
    for first in range(0, len(found), window):
        numbers = np.arange(first, min(first + window, len(found)))
        document = np.searchsorted(firsts, numbers, side="right") - 1
        of, ends = found.documents_of(first, numbers[-1] + 1)
        assert of.tolist() == document.tolist()
        assert ends.tolist() == np.array(firsts)[document + 1].tolist()


@pytest.mark.parametrize("format", FORMATS)
def test_write_and_open(format, tmp_path):
    samples = build(toy_store(), format, 12, seed=0)
    written = formats.build(toy_store(), tmp_path, format, 12, seed=0)
    assert sorted(sample_files(format)) == sorted(path.name for path in tmp_path.iterdir())
    opened = Samples.open(tmp_path)
    for array in (*written.arrays.values(), *opened.arrays.values()):
        assert isinstance(array.base, np.memmap)
    assert opened.figures == samples.figures
    assert inputs(toy_store(), opened) == inputs(toy_store(), samples)


def test_bad_input_is_one_line(tmp_path):
    for format in PAIR_FORMATS:
        with pytest.raises(StudyError, match=rf"{format}: .*expected at least 2, found 1"):
            build(numbered([[3, 4]]), format, 12)
        with pytest.raises(StudyError, match=r"no document has two sentences"):
            build(numbered([[3], [4]]), format, 12)
    with pytest.raises(StudyError, match=r"the store holds no sentences"):
        build(store_of([]), "full-sentences", 12)
    with pytest.raises(StudyError, match=r"samples\.json: No such file"):
        Samples.open(tmp_path)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("[]", "list indices must be integers"),
        ("{}", "'figures'"),
        ('{"format": "full-sentences", "figures": {"tokens": "20"}}', "field figures.tokens"),
    ],
)
def test_a_damaged_header_is_named(tmp_path, header, problem):
    formats.build(toy_store(), tmp_path, "full-sentences", 32)
    (tmp_path / "samples.json").write_text(header)
    with pytest.raises(StudyError, match=f"^{tmp_path}: not samples .*{problem}"):
        Samples.open(tmp_path)
