"""Pairs of text: what holds for any corpus, how labels, cuts and random parts are drawn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_toy import (
    PAIR_FORMATS,
    build,
    corpora,
    inputs,
    mixed_corpora,
    numbered,
    random_store,
)

from model.samples import pairs
from model.samples.formats import sentence_pair
from model.samples.formats.sentence_pair import smallest
from model.samples.index import NEXT, RANDOM, Samples
from model.samples.keyed import below, draws, key_of_stream
from model.samples.pairs import count_shown, truncate
from model.text.store import TokenStore


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
    assert np.concatenate(pieces).tolist() == list(range(store.size))


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
    assert figures["store_tokens"] == store.size
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
    assert share < figures["shown_tokens"] / store.size <= 1
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
    corpora = np.array([0] * 2 + [1] * 40 + [2], dtype=np.uint8)
    store = replace(numbered(lengths), corpora=corpora, corpus_names=("books", "wiki", "news"))

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


def test_pair_seed_matters_and_repeats():
    store = random_store(30)
    for format in PAIR_FORMATS:
        one, again, other = (build(store, format, 32, seed=seed) for seed in (0, 0, 1))
        assert np.array_equal(one.starts, again.starts)
        assert not np.array_equal(one.starts[:20], other.starts[:20])


@given(
    st.lists(st.lists(st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1), max_size=6)),
    st.integers(1, 12),
    st.integers(1, 16),
)
def test_the_smallest_numbers_are_found_window_by_window(windows, count, buckets):
    """Equal ones in their order, all where there are fewer."""
    numbers = np.array([number for window in windows for number in window], dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentence_pair, "BUCKETS", buckets)
        limit, ties = smallest(lambda: (np.array(w, dtype=np.int64) for w in windows), count)
    equal = np.flatnonzero(numbers == limit)[:ties]
    found = np.sort(np.concatenate([np.flatnonzero(numbers < limit), equal]))
    assert found.tolist() == sorted(np.argsort(numbers, kind="stable")[:count].tolist())


@given(
    st.lists(st.tuples(*[st.integers(0, 30), st.integers(1, 9)] * 2), min_size=1, max_size=9),
    st.integers(1, 9),
    st.integers(1, 45),
)
def test_tokens_that_are_shown_are_counted_span_by_span(parts, window, span):
    parts = np.array(sorted(parts))
    starts, sizes = parts[:, ::2], parts[:, 1::2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "WINDOW", window)
        patch.setattr(pairs, "SPAN", span)
        found = count_shown(starts, sizes, 40)
    spans = zip(starts.ravel(), sizes.ravel(), strict=True)
    assert found == len({token for start, size in spans for token in range(start, start + size)})


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(0, 9), st.integers(1, 5))
def test_random_documents_are_those_of_a_list_of_each_corpus(corpora, seed, window):
    """However the documents of the corpora take turns."""
    store = replace(numbered([[2]] * len(corpora)), corpora=np.array(corpora, np.uint8))
    own, keys = np.arange(len(corpora)), np.arange(len(corpora)) * 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "WINDOW", window)
        places = pairs.RandomPlaces(pairs.units_of(store, 9, 2), seed, store.corpora)
    found, starts = places.draw(own, keys)
    assert starts.tolist() == found.tolist()
    every = [[d for d in own if corpora[d] == corpus] for corpus in range(4)]
    ranked = [document for documents in every for document in documents]
    for document, key in zip(own, keys, strict=True):
        others = every[corpora[document]]
        others = [d for d in (others if len(others) > 1 else ranked) if d != document]
        draw = draws(key_of_stream(seed, "pairs.document"), np.array([key]))
        assert found[document] == others[int(below(draw, len(others))[0])]
