"""Batches: a pure function of the step, equal tokens for every format, fixed shapes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_toy import build, random_store, recipe_of, store_of, toy_store, toy_vocabulary

from model.samples.batches import HeldoutBatches, PretrainingBatches
from model.samples.keyed import Order
from model.samples.masking import target_count
from model.samples.stream import SampleStream
from study.errors import StudyError
from study.formats import FORMATS

STORE = random_store(300)
VOCABULARY = toy_vocabulary(1 << 16)
SAMPLES = {name: build(STORE, name, 32, seed=0) for name in FORMATS}


def batches(name: str, micro_batch_tokens: int = 128, **changes) -> PretrainingBatches:
    return PretrainingBatches(
        STORE, SAMPLES[name], VOCABULARY, recipe_of(name, **changes), micro_batch_tokens
    )


def contents(update) -> list[tuple]:
    """Every real row of an update without padding, sorted: what it teaches."""
    rows = []
    for micro in update.micro_batches:
        for i, length in enumerate(micro["lengths"].tolist()):
            if length:
                used = micro["weights"][i] == 1
                rows.append(
                    (
                        micro["ids"][i, :length].tolist(),
                        micro["positions"][i][used].tolist(),
                        micro["labels"][i][used].tolist(),
                        micro["segments"][i, :length].tolist() if "segments" in micro else None,
                        int(micro["nsp"][i]) if "nsp" in micro else None,
                    )
                )
    return sorted(rows)


def same(one, other) -> bool:
    return one.counts == other.counts and all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(one.micro_batches, other.micro_batches, strict=True)
    )


def test_literal_update():
    samples = build(toy_store(), "doc-sentences", 12)
    recipe = recipe_of("doc-sentences", 12, batch={"sequences": 2, "unit": "tokens"})
    vocabulary = toy_vocabulary()
    found = PretrainingBatches(toy_store(), samples, vocabulary, recipe, 48)
    # Five samples of 8, 8, 5, 12 and 5 tokens; an update ends where 24, 48, … tokens are full.
    updates = [found.stream.update(step) for step in range(3)]
    assert [rows.tolist() for rows, _ in updates] == [[3, 4], [1, 0, 2], [3, 1, 0, 2]]
    assert [epochs.tolist() for _, epochs in updates] == [[0, 0], [0, 0, 0], [1, 1, 1, 1]]
    (micro,) = found[0].micro_batches
    assert micro["lengths"].tolist() == [12, 5]
    assert micro["ids"].tolist() == [
        [0, 33, 34, 35, 36, 63, 38, 63, 40, 41, 42, 2],
        [0, 43, 44, 63, 2, 1, 1, 1, 1, 1, 1, 1],
    ]
    assert micro["positions"].tolist() == [[5, 7], [3, 0]]
    assert micro["labels"].tolist() == [[37, 39], [45, 1]]
    assert found[0].figures == {
        "samples": 2,
        "tokens": 17,
        "masked": 3,
        "padded": 24,
        "epoch": 0.631578947368421,
    }


@pytest.mark.parametrize("name", FORMATS)
def test_shapes_and_types(name):
    source = batches(name)
    pairs = name.endswith("-pair")
    for step in range(10):
        update = source[step]
        targets = sum(float(micro["weights"].sum()) for micro in update.micro_batches)
        assert update.counts["mlm"] == targets == update.figures["masked"]
        assert set(update.counts) == ({"mlm", "nsp"} if pairs else {"mlm"})
        real = sum(int((micro["lengths"] > 0).sum()) for micro in update.micro_batches)
        assert update.figures["samples"] == real
        assert update.counts.get("nsp", real) == real
        padded = sum(micro["ids"].numel() for micro in update.micro_batches)
        assert update.figures["padded"] == padded
        for micro in update.micro_batches:
            B, T = micro["ids"].shape
            K = target_count(0.15, T - (3 if pairs else 2))
            assert micro["lengths"].max() == T <= 32
            assert B * T <= 128
            assert (micro["lengths"] > 0).all()  # no empty rows
            expected = {
                "ids": (torch.int64, (B, T)),
                "lengths": (torch.int64, (B,)),
                "positions": (torch.int64, (B, K)),
                "labels": (torch.int64, (B, K)),
                "weights": (torch.float32, (B, K)),
                "keys": (torch.int64, (B, T)),
            }
            if pairs:
                expected["segments"] = (torch.int64, (B, T))
                expected["nsp"] = (torch.int64, (B,))
                expected["nsp_weights"] = (torch.float32, (B,))
            assert {n: (t.dtype, tuple(t.shape)) for n, t in micro.items()} == expected
            beyond = torch.arange(T) >= micro["lengths"][:, None]
            assert (micro["ids"][beyond] == VOCABULARY.pad).all()
            assert (micro["ids"][~beyond] != VOCABULARY.pad).all()
            if pairs:
                assert torch.equal(micro["nsp_weights"], (micro["lengths"] > 0).float())


def test_segments_and_labels_follow_the_recipe():
    both = batches("segment-pair")
    recipe = recipe_of("segment-pair", format={"nsp": False, "segments": False})
    neither = PretrainingBatches(STORE, SAMPLES["segment-pair"], VOCABULARY, recipe, 128)
    assert {"nsp", "nsp_weights", "segments"} <= set(both[0].micro_batches[0])
    assert not {"nsp", "nsp_weights", "segments"} & set(neither[0].micro_batches[0])
    assert [row[:3] for row in contents(both[3])] == [row[:3] for row in contents(neither[3])]


@pytest.mark.parametrize("name", FORMATS)
def test_micro_batch_size_changes_nothing_but_the_cut(name):
    for step in (0, 7):
        expected = contents(batches(name)[step])
        for tokens in (1, 33, 64, 500, 100_000):
            update = batches(name, tokens)[step]
            assert contents(update) == expected
            assert len(update.micro_batches) == 1 or tokens < 100_000


@pytest.mark.parametrize("unit", ["tokens", "sequences"])
def test_any_step_first_gives_the_same_update(unit):
    changes = {"batch": {"sequences": 64, "unit": unit}, "steps": 150}
    passed = batches("doc-sentences", 4096, **changes)
    updates = [passed[step] for step in range(150)]
    assert passed.stream.passes(149) > 3
    for step in (149, 0, 99, 60):
        assert same(batches("doc-sentences", 4096, **changes)[step], updates[step])
        assert same(passed[step], updates[step])


def test_workers_change_nothing():
    source = batches("segment-pair", steps=12)
    loader = torch.utils.data.DataLoader(source, batch_size=None, shuffle=False, num_workers=2)
    for step, update in enumerate(loader):
        assert same(update, source[step])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("unit", ["tokens", "sequences"])
def test_every_sample_once_per_epoch_in_a_new_order(name, unit):
    lengths = SAMPLES[name].lengths
    stream = SampleStream(lengths, int(lengths.sum()), 32, 8, unit, seed=1)
    seen, epochs, step = [], [], 0
    while stream.passes(step) <= 2:
        rows, found = stream.update(step)
        seen += rows.tolist()
        epochs += found.tolist()
        step += 1
    assert epochs == sorted(epochs)
    count = len(lengths)
    first, second = seen[:count], seen[count : 2 * count]
    assert sorted(first) == list(range(count))
    assert set(epochs[:count]) == {0}
    assert sorted(second) == list(range(count))[: len(second)] or len(second) < count
    assert len(set(second)) == len(second)
    assert first[:50] != second[:50]


def test_a_long_stream_is_that_of_whole_orders():
    """Sums that are made block by block, at whatever step they begin, against those of all ends."""
    n = 150_000
    lengths = np.random.default_rng(0).integers(5, 129, n).astype(np.int32)
    orders = [Order(3, "order", epoch, n)[np.arange(n)] for epoch in range(2)]
    ends = np.cumsum(np.concatenate([lengths[order] for order in orders]))
    stream = SampleStream(lengths, int(lengths.sum()), 128, 1000, "tokens", seed=3)
    seam = int(lengths.sum()) // stream.budget
    for step in (seam, 0, 1, seam // 2, seam - 1, seam + 1, seam + 60):
        low, high = step * stream.budget, (step + 1) * stream.budget
        places = np.flatnonzero((ends > low) & (ends <= high))
        rows, epochs = stream.update(step)
        assert rows.tolist() == np.concatenate(orders)[places].tolist()
        assert epochs.tolist() == (places // n).tolist()


def test_lengths_that_do_not_add_up_are_refused():
    stream = SampleStream(np.array([5, 7, 8]), 40, 8, 2, "tokens", seed=0)
    with pytest.raises(StudyError, match="lengths of 20 tokens in all, below"):
        stream.update(1)


def test_updates_across_many_epochs():
    """A batch larger than the data takes samples several times, each time in another epoch."""
    stream = SampleStream(np.array([5, 7, 8]), 20, 8, 10, "tokens", seed=0)
    rows, epochs = stream.update(0)
    assert np.bincount(epochs).tolist() == [3, 3, 3, 3]
    assert sorted(zip(epochs.tolist(), rows.tolist(), strict=True)) == [
        (epoch, row) for epoch in range(4) for row in range(3)
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_tokens_per_update_are_equal_across_formats(name):
    source = batches(name, 512, batch={"sequences": 32, "unit": "tokens"})
    tokens = [source[step].figures["tokens"] for step in range(50)]
    assert np.mean(tokens) == pytest.approx(32 * 32, rel=0.01)
    assert max(tokens) - min(tokens) <= 2 * 32


def test_sequences_per_update():
    source = batches("sentence-pair", batch={"sequences": 8, "unit": "sequences"})
    assert all(source[step].figures["samples"] == 8 for step in range(50))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(3, 32), min_size=1, max_size=40),
    st.integers(1, 6),
    st.sampled_from(["tokens", "sequences"]),
)
def test_the_stream_loses_and_repeats_nothing(lengths, sequences, unit):
    stream = SampleStream(np.array(lengths), sum(lengths), 32, sequences, unit, seed=0)
    seen = []
    for step in range(8):
        rows, epochs = stream.update(step)
        assert len(rows) >= 1
        seen += zip(epochs.tolist(), rows.tolist(), strict=True)
    assert len(set(seen)) == len(seen)
    last = seen[-1][0]
    whole = [pair for pair in seen if pair[0] < last]
    assert len(whole) == last * len(lengths)


def test_static_and_dynamic_masks_over_epochs():
    """Static masks of epochs 0 to 9 differ and come back in epoch 10; dynamic ones never do."""
    samples = build(toy_store(), "doc-sentences", 12)

    def epochs(policy: dict) -> list[list]:
        # Five samples and five per update: update u is epoch u.
        recipe = recipe_of(
            "doc-sentences",
            12,
            batch={"sequences": 5, "unit": "sequences"},
            steps=21,
            masking={**policy, "rate": 0.5},
        )
        source = PretrainingBatches(toy_store(), samples, toy_vocabulary(), recipe, 1000)
        return [contents(source[step]) for step in range(21)]

    static, dynamic = epochs({"policy": "static", "copies": 10}), epochs({"policy": "dynamic"})
    for epoch in range(10):
        assert all(static[epoch] != static[other] for other in range(epoch))
        assert static[epoch] == static[epoch + 10] == dynamic[epoch]
    assert static[20] == static[0]
    assert all(dynamic[one] != dynamic[other] for one in range(21) for other in range(one))


def test_heldout_is_fixed_whatever_the_recipe():
    samples = SAMPLES["segment-pair"]
    one = HeldoutBatches(STORE, samples, VOCABULARY, recipe_of("segment-pair"), 256)
    masking = {
        "policy": "static",
        "copies": 3,
        "rate": 0.4,
        "mask": 1.0,
        "random": 0.0,
        "special_tokens": True,
    }
    changed = recipe_of("segment-pair", seed=5, masking=masking)
    other = HeldoutBatches(STORE, samples, VOCABULARY, changed, 64)
    assert len(one.rows) == 20
    flat = [sorted(row for update in source for row in contents(update)) for source in (one, other)]
    assert flat[0] == flat[1]
    assert len(flat[0]) == 20
    assert sum(update.counts["nsp"] for update in one) == 20
    assert all(len(update.micro_batches) == 1 for update in one)


def test_heldout_predicts_unknown_words_too():
    store = store_of([[[VOCABULARY.unknown] * 9] for _ in range(20)])
    samples = build(store, "doc-sentences", 32)
    source = HeldoutBatches(store, samples, VOCABULARY, recipe_of("doc-sentences"), 256)
    assert sum(update.counts["mlm"] for update in source) == 20  # one of nine, twenty times
    micros = [micro for update in source for micro in update.micro_batches]
    labels = torch.cat([micro["labels"][micro["weights"] == 1] for micro in micros])
    assert set(labels.tolist()) == {VOCABULARY.unknown}


@pytest.mark.parametrize("tokens", [64, 200, 1000])
@pytest.mark.parametrize("name", FORMATS)
def test_heldout_updates_have_one_micro_batch_each(name, tokens):
    recipe = recipe_of(name, evaluation={"points": 1, "samples": 300})
    source = HeldoutBatches(STORE, SAMPLES[name], VOCABULARY, recipe, tokens)
    updates = list(source)
    assert len(updates) == len(source)
    assert all(len(update.micro_batches) == 1 for update in updates)
    assert sum(update.figures["samples"] for update in updates) == 300
    for update in updates:
        (micro,) = update.micro_batches
        assert int(micro["lengths"].sum()) == update.figures["tokens"]


def test_heldout_by_corpus_is_a_part_of_the_whole():
    documents = [[[4 + d, 5, 6], [7, 8]] for d in range(30)]
    store = store_of(documents, [d % 3 for d in range(30)], ["a", "b", "c", "d"])
    samples = build(store, "doc-sentences", 32)
    recipe = recipe_of("doc-sentences", evaluation={"points": 1, "samples": 20})

    def rows(corpus: int | None) -> list[tuple]:
        source = HeldoutBatches(store, samples, VOCABULARY, recipe, 128, corpus)
        return sorted(row for update in source for row in contents(update))

    parts = [rows(corpus) for corpus in range(4)]
    assert sorted(parts[0] + parts[1] + parts[2]) == rows(None)
    # Ids 4, 7, … start the documents of the first corpus; larger ones are masks.
    assert {row[0][1] % 3 for row in parts[0] if row[0][1] < 34} == {1}
    assert parts[3] == []


def test_heldout_takes_all_if_there_are_few():
    recipe = recipe_of("full-sentences", evaluation={"points": 1, "samples": 10**6})
    source = HeldoutBatches(STORE, SAMPLES["full-sentences"], VOCABULARY, recipe, 256)
    assert sum(update.figures["samples"] for update in source) == len(SAMPLES["full-sentences"])


def test_bad_input_is_one_line():
    with pytest.raises(StudyError, match=r"format.name: the recipe says full-sentences, .* doc-"):
        PretrainingBatches(STORE, SAMPLES["doc-sentences"], VOCABULARY, recipe_of(), 128)
    with pytest.raises(StudyError, match=r"format.length: the recipe says 64, .* 32"):
        PretrainingBatches(STORE, SAMPLES["full-sentences"], VOCABULARY, recipe_of(length=64), 128)
    with pytest.raises(StudyError, match="field format: nsp and segments need a pair format"):
        batches("full-sentences", format={"nsp": True})
    with pytest.raises(StudyError, match=r"batch.unit: input should be .*, found 'words'"):
        batches("full-sentences", batch={"sequences": 8, "unit": "words"})
    with pytest.raises(StudyError, match=r"batch.sequences: .* greater than 0, found 0"):
        batches("full-sentences", batch={"sequences": 0, "unit": "tokens"})
