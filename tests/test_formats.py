"""Formats: literal inputs of a toy corpus, and what holds for any corpus (traps 4 to 8)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_toy import (
    corpora,
    mixed_corpora,
    numbered,
    random_store,
    toy_store,
    toy_vocabulary,
)

from model.samples.formats import build
from model.samples.gather import Gatherer
from model.samples.index import FORMATS, NEXT, PAIR_FORMATS, RANDOM, Samples
from model.samples.pairs import truncate
from model.text.store import TokenStore
from study.errors import StudyError

VOCABULARY = toy_vocabulary()


def inputs(store: TokenStore, samples: Samples) -> list[list[int]]:
    """The framed ids of all samples without padding."""
    rows = np.arange(len(samples))
    ids = Gatherer(store, samples, VOCABULARY).ids(rows, samples.length)
    return [row[:n].tolist() for row, n in zip(ids, samples.lengths, strict=True)]


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


@pytest.mark.parametrize("format", PAIR_FORMATS)
def test_separators_setting_does_not_reach_into_pairs(format):
    one, other = (build(toy_store(), format, 12, how, seed=0) for how in ("document", "sentence"))
    assert inputs(toy_store(), one) == inputs(toy_store(), other)


def test_literal_labels_documents_and_segments():
    samples = build(toy_store(), "segment-pair", 12, "document", seed=0)
    assert samples.labels.tolist() == [NEXT, NEXT, *[RANDOM] * 5]
    assert samples.documents.tolist() == [[0, 0], [1, 1], [2, 0], [2, 1], [2, 1], [2, 1], [2, 0]]
    segments = Gatherer(toy_store(), samples, VOCABULARY).segments(np.array([0, 1]), 12)
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
        assert text == store.tokens.tolist()
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


@settings(max_examples=60, deadline=None)
@given(corpora, st.integers(8, 24), st.integers(0, 3), st.sampled_from(PAIR_FORMATS))
def test_pairs_are_what_their_labels_say(lengths, length, seed, format):
    if len(lengths) < 2 or all(len(d) < 2 for d in lengths):
        return
    store = numbered(lengths)
    samples = build(store, format, length, seed=seed)
    ends = store.sentences[store.documents]
    budget = length - 3
    for (a, b), (size_a, size_b), documents, label in zip(
        samples.starts, samples.sizes, samples.documents, samples.labels, strict=True
    ):
        assert size_a >= 1
        assert size_b >= 1
        assert size_a + size_b <= budget
        for start, size, document in ((a, size_a, documents[0]), (b, size_b, documents[1])):
            assert ends[document] <= start
            assert start + size <= ends[document + 1]
        assert (label == NEXT) == (documents[0] == documents[1])
        if label == NEXT:
            assert b >= a + size_a
            if size_a + size_b < budget:  # nothing was truncated
                assert b == a + size_a


@settings(max_examples=40, deadline=None)
@given(corpora, st.integers(0, 3))
def test_segment_pairs_consume_all_text(lengths, seed):
    """Without truncation, A and the B that follows it cover every token once."""
    if len(lengths) < 2 or all(len(d) < 2 for d in lengths):
        return
    store = numbered(lengths)
    samples = build(store, "segment-pair", 1 << 10, seed=seed)
    if samples.figures["truncated_tokens"]:
        return
    own = np.where(samples.documents == samples.documents[:, :1], samples.sizes, 0).sum(axis=1)
    pieces = [np.arange(s, s + n) for s, n in zip(samples.starts[:, 0], own, strict=True)]
    assert np.concatenate(pieces).tolist() == list(range(len(store.tokens)))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("format", PAIR_FORMATS)
def test_labels_are_balanced(format, seed):
    """50 ± 1 %, though the last sentence of every document is forced to a random B."""
    samples = build(random_store(400, seed), format, 32, seed=seed)
    assert samples.figures["forced"] > 0.05 * len(samples)
    assert abs((samples.labels == NEXT).mean() - 0.5) < 0.01


@pytest.mark.parametrize(
    ("format", "labels"), [("segment-pair", (100, 900)), ("sentence-pair", (200, 1000))]
)
def test_no_text_is_dropped_for_its_label(format, labels):
    """Nine documents of ten are one sentence: RANDOM prevails, and every token is shown."""
    store = numbered([[5]] * 900 + [[4, 4, 4]] * 100)
    figures = build(store, format, 32, seed=0).figures
    assert (figures["next"], figures["random"]) == labels
    assert figures["forced"] == labels[1]
    assert figures["shown_tokens"] == figures["store_tokens"] == 5700


def shown(store: TokenStore, samples: Samples) -> int:
    """Tokens of the store that stand in an input, counted one by one."""
    return len({token for row in inputs(store, samples) for token in row if token >= 4})


@settings(max_examples=80, deadline=None)
@given(mixed_corpora, st.integers(8, 48), st.integers(0, 3), st.sampled_from(PAIR_FORMATS))
def test_pairs_count_what_they_show_and_show_at_least_half(lengths, length, seed, format):
    """One-sentence documents, giant sentences, tiny documents: no store loses half its tokens.

    A pair is cut to its budget, and it never holds twice that.
    """
    store = numbered(lengths)
    samples = build(store, format, length, seed=seed)
    figures = samples.figures
    assert figures["shown_tokens"] == shown(store, samples)
    assert figures["store_tokens"] == len(store.tokens)
    assert figures["store_tokens"] <= 2 * figures["shown_tokens"]
    assert figures["next"] + figures["random"] == len(samples)
    assert figures["forced"] <= len(lengths)  # only where a document ends


@pytest.mark.parametrize("length", [32, 127, 128, 512])
@pytest.mark.parametrize("format", PAIR_FORMATS)
def test_text_without_full_stops_is_shown_whole(format, length):
    """40 documents of one sentence of 1,000 tokens: its pieces follow each other."""
    store = numbered([[1000]] * 40)
    samples = build(store, format, length, seed=0)
    assert samples.figures["shown_tokens"] == 40_000
    assert abs((samples.labels == NEXT).mean() - 0.5) < 0.02
    following = samples.labels == NEXT
    ends = samples.starts[:, 0] + samples.sizes[:, 0]
    assert (samples.starts[following, 1] == ends[following]).all()


@pytest.mark.parametrize(("format", "share"), [("segment-pair", 0.96), ("sentence-pair", 0.99)])
def test_mixed_text_is_shown_nearly_whole(format, share):
    """Half of the documents have sentences, half are one long run of words."""
    draw = np.random.default_rng(0)
    store = numbered(
        [
            [int(draw.integers(300, 2000))]
            if document % 2
            else np.clip(draw.lognormal(3, 0.6, draw.integers(1, 40)), 1, 999).astype(int).tolist()
            for document in range(400)
        ]
    )
    figures = build(store, format, 128, seed=0).figures
    assert share < figures["shown_tokens"] / len(store.tokens) <= 1
    assert abs(figures["next"] / (figures["next"] + figures["random"]) - 0.5) < 0.01


def test_every_sentence_is_a_once_in_sentence_pairs():
    store = random_store(50, longest=14)
    samples = build(store, "sentence-pair", 32)
    assert samples.starts[:, 0].tolist() == store.sentences[:-1].tolist()
    following = samples.starts[samples.labels == NEXT, 1]
    assert set(following.tolist()) <= set(store.sentences.tolist())


def test_cuts_are_uniform_over_all_boundaries():
    """Chunks of four sentences are cut after the first, second and third alike."""
    store = numbered([[5, 5, 5, 5]] * 3000)
    samples = build(store, "segment-pair", 23, seed=0)
    whole = samples.starts[:, 0] % 20 == 0
    assert whole.sum() == 3000
    counts = np.bincount(samples.sizes[whole & (samples.labels == NEXT), 0] // 5, minlength=4)
    assert counts[0] == 0
    assert counts[1:] / counts.sum() == pytest.approx([1 / 3] * 3, abs=0.05)


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        ([12, 7], [12, 7]),  # fits
        ([12, 20], [10, 10]),  # 8 from B, then turn by turn
        ([12, 19], [10, 10]),
        ([10, 11], [10, 10]),
        ([30, 4], [16, 4]),  # B is never the longer part
        ([11, 11], [10, 10]),
        ([11, 12], [10, 10]),
        ([15, 16], [10, 10]),
    ],
)
def test_truncation_takes_from_the_longer_part(sizes, left):
    starts, found = truncate(np.array([[0, 100]]), np.array([sizes]), 20, np.array([5]), seed=0)
    assert found.tolist() == [left]
    for part, (start, first) in enumerate(zip(starts[0], (0, 100), strict=True)):
        assert first <= start <= first + sizes[part] - left[part]


def test_truncation_takes_front_or_back_by_a_fair_coin_per_token():
    count = 4000
    starts, _ = truncate(
        np.zeros((count, 2), dtype=np.int64),
        np.tile([5, 115], (count, 1)),
        20,
        np.arange(count),
        seed=0,
    )
    assert (starts[:, 0] == 0).all()
    # Binomial(100, 1/2): mean 50, standard deviation 5.
    assert starts[:, 1].mean() == pytest.approx(50, abs=0.4)
    assert starts[:, 1].std() == pytest.approx(5, abs=0.3)


@pytest.mark.parametrize("format", PAIR_FORMATS)
def test_negatives_of_the_same_corpus(format):
    """Two long documents beside forty short ones, and a corpus of a single document."""
    lengths = [[9] * 60] * 2 + [[9] * 4] * 40 + [[9] * 60]
    plain = numbered(lengths)
    corpora = np.array([0] * 2 + [1] * 40 + [2], dtype=np.uint8)
    store = TokenStore(
        plain.tokens, plain.sentences, plain.documents, corpora, ("books", "wiki", "news")
    )

    def origins(negatives: str) -> dict[int, list[int]]:
        """By corpus of A, in how many pairs B is a random one of each corpus."""
        samples = build(store, format, 48, seed=1, negatives=negatives)
        random = samples.documents[samples.labels == RANDOM]
        assert (random[:, 0] != random[:, 1]).all()
        return {
            corpus: np.bincount(corpora[random[corpora[random[:, 0]] == corpus, 1]], minlength=3)
            for corpus in range(3)
        }

    same = origins("corpus")
    assert same[0].tolist() == [same[0].sum(), 0, 0]
    assert same[1].tolist() == [0, same[1].sum(), 0]
    assert same[2][2] == 0 and same[2].sum() > 5  # there is no other one: any document
    anywhere = origins("any")
    assert anywhere[0][0] < 0.15 * anywhere[0].sum()  # nearly always from the other corpora
    with pytest.raises(StudyError, match="field negatives: 'none', expected one of any, corpus"):
        build(store, format, 48, negatives="none")


def test_long_sentence_is_split_without_loss():
    store = numbered([[3, 100, 2]])
    samples = build(store, "doc-sentences", 32)
    assert samples.figures["split_sentences"] == 1
    assert samples.sizes[:, 0].tolist() == [3, 30, 30, 30, 12]


def test_full_sentences_in_windows_equal_one_pass(monkeypatch):
    store = random_store(80)
    names = ("full-sentences", "doc-sentences", "segment-pair")
    whole = [build(store, name, 32, seed=3) for name in names]
    monkeypatch.setattr("model.samples.blocks.WINDOW", 7)
    monkeypatch.setattr("model.samples.pairs.WINDOW", 7)
    for name, expected in zip(names, whole, strict=True):
        found = build(store, name, 32, seed=3)
        for array in expected.arrays:
            assert np.array_equal(found.arrays[array], expected.arrays[array])


def test_pair_seed_matters_and_repeats():
    store = random_store(30)
    for format in PAIR_FORMATS:
        one, again, other = (build(store, format, 32, seed=seed) for seed in (0, 0, 1))
        assert np.array_equal(one.starts, again.starts)
        assert not np.array_equal(one.starts[:20], other.starts[:20])


@pytest.mark.parametrize("format", FORMATS)
def test_save_and_open(format, tmp_path):
    samples = build(toy_store(), format, 12, seed=0)
    names = samples.save(tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    opened = Samples.open(tmp_path)
    assert isinstance(opened.starts, np.memmap)
    assert opened.figures == samples.figures
    assert inputs(toy_store(), opened) == inputs(toy_store(), samples)


def test_bad_input_is_one_line(tmp_path):
    with pytest.raises(StudyError, match=r"field format: 'pairs', expected one of full-sentences"):
        build(toy_store(), "pairs", 12)
    with pytest.raises(StudyError, match=r"field separators: 'none'"):
        build(toy_store(), "full-sentences", 12, "none")
    with pytest.raises(StudyError, match=r"field length: 4, expected at least 8"):
        build(toy_store(), "full-sentences", 4)
    for format in PAIR_FORMATS:
        with pytest.raises(StudyError, match=rf"{format}: .*expected at least 2, found 1"):
            build(numbered([[3, 4]]), format, 12)
        with pytest.raises(StudyError, match=r"no document has two sentences"):
            build(numbered([[3], [4]]), format, 12)
    with pytest.raises(StudyError, match=r"the store holds no sentences"):
        build(TokenStore.from_lists([]), "full-sentences", 12)
    with pytest.raises(StudyError, match=r"samples\.json: No such file"):
        Samples.open(tmp_path)
