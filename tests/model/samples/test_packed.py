"""Packed micro-batches: the padded ones' samples, masks, losses and gradients in one shape."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_toy import config
from samples_toy import build, random_store, recipe_of, toy_store, toy_vocabulary

from model.network.pretraining import PretrainingModel
from model.samples.batches import HeldoutBatches, PretrainingBatches
from model.samples.packed import Shape, deal, offsets_of
from study.formats import FORMATS

STORE = random_store(300)
SIZE = 1 << 16
VOCABULARY = toy_vocabulary(SIZE)
SAMPLES = {name: build(STORE, name, 32, seed=0) for name in FORMATS}


def batches(name: str, packed: bool, tokens: int = 300, parts: int = 1) -> PretrainingBatches:
    return PretrainingBatches(
        STORE, SAMPLES[name], VOCABULARY, recipe_of(name), tokens, packed, parts
    )


def padded_samples(update) -> list[tuple]:
    """Ids, targets, segments and label of every sample of padded micro-batches, sorted."""
    samples = []
    for micro in update.micro_batches:
        for i, length in enumerate(micro["lengths"].tolist()):
            used = micro["weights"][i] == 1
            samples.append(
                (
                    micro["ids"][i, :length].tolist(),
                    micro["positions"][i][used].tolist(),
                    micro["labels"][i][used].tolist(),
                    micro["segments"][i, :length].tolist() if "segments" in micro else None,
                    int(micro["nsp"][i]) if "nsp" in micro else None,
                )
            )
    return sorted(sample for sample in samples if sample[0])


def packed_samples(update) -> list[tuple]:
    """The same of packed micro-batches; a sample without a target is a dummy."""
    samples = []
    for micro in update.micro_batches:
        used = micro["weights"] == 1
        positions, labels = micro["positions"][used], micro["labels"][used]
        offsets = micro["offsets"].tolist()
        for i, (start, stop) in enumerate(pairwise(offsets)):
            inside = (positions >= start) & (positions < stop)
            if inside.any():
                assert micro["places"][start:stop].tolist() == list(range(stop - start))
                samples.append(
                    (
                        micro["ids"][start:stop].tolist(),
                        (positions[inside] - start).tolist(),
                        labels[inside].tolist(),
                        micro["segments"][start:stop].tolist() if "segments" in micro else None,
                        int(micro["nsp"][i]) if "nsp" in micro else None,
                    )
                )
    return sorted(samples)


@pytest.mark.parametrize("name", FORMATS)
def test_packed_micro_batches_teach_what_padded_ones_teach(name):
    padded, packed = batches(name, packed=False), batches(name, packed=True)
    shapes = set()
    for step in range(3):
        one, other = padded[step], packed[step]
        assert packed_samples(other) == padded_samples(one)
        assert other.counts == one.counts
        same = ("samples", "tokens", "masked", "epoch")
        assert [other.figures[name] for name in same] == [one.figures[name] for name in same]
        for micro in other.micro_batches:
            shapes.add(tuple((key, tuple(value.shape)) for key, value in micro.items()))
    assert len(shapes) == 1


@pytest.mark.parametrize("rate", [0.0, 0.1])
@pytest.mark.parametrize("name", FORMATS)
def test_packed_losses_and_gradients_are_the_padded_ones(name, rate):
    results = []
    for packed in (False, True):
        source = batches(name, packed)
        torch.manual_seed(0)
        form = source.micro_batches.format
        sizes = config(positions=32, dropout=rate, attention_dropout=rate)
        model = PretrainingModel(sizes, SIZE, form.segments, form.nsp).double()
        totals = dict.fromkeys(model.terms, 0.0)
        for micro in source[0].micro_batches:
            losses = model(micro)
            sum(losses.values()).backward()
            totals = {term: totals[term] + losses[term].item() for term in totals}
        results.append((totals, [parameter.grad for parameter in model.parameters()]))
    (one, padded_gradients), (other, packed_gradients) = results
    assert other == pytest.approx(one, rel=1e-6)
    for padded_gradient, packed_gradient in zip(padded_gradients, packed_gradients, strict=True):
        torch.testing.assert_close(packed_gradient, padded_gradient, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FORMATS)
def test_each_sample_alone_loses_the_same_to_dropout(name):
    source = batches(name, packed=True)
    form = source.micro_batches.format
    torch.manual_seed(0)
    model = PretrainingModel(config(positions=32), SIZE, form.segments, form.nsp).double()
    for micro in source[0].micro_batches:
        together = model(micro)
        alone = dict.fromkeys(model.terms, 0.0)
        for i, (start, stop) in enumerate(pairwise(micro["offsets"].tolist())):
            inside = (micro["positions"] >= start) & (micro["positions"] < stop)
            if stop == start or not micro["weights"][inside].any():
                continue
            one = {name: micro[name][start:stop] for name in ("ids", "places", "keys")}
            one["offsets"] = torch.tensor([0, stop - start], dtype=torch.int32)
            one |= {name: micro[name][inside] for name in ("labels", "weights")}
            one["positions"] = micro["positions"][inside] - start
            if "segments" in micro:
                one["segments"] = micro["segments"][start:stop]
            if "nsp" in micro:
                one |= {name: micro[name][i : i + 1] for name in ("nsp", "nsp_weights")}
            losses = model(one)
            alone = {term: alone[term] + losses[term] for term in alone}
        for term in model.terms:
            torch.testing.assert_close(together[term], alone[term], rtol=1e-6, atol=1e-6)
        still = model.eval()(micro)
        model.train()
        assert all(still[term] != together[term] for term in model.terms)


def test_a_sample_s_dropout_changes_from_epoch_to_epoch():
    source = batches("full-sentences", packed=True)
    cut, rows = source.micro_batches, np.arange(4)
    first, second = (
        cut.update(rows, np.full(4, epoch), cut.cut(rows), {}).micro_batches[0]["keys"]
        for epoch in (0, 1)
    )
    total = int(SAMPLES["full-sentences"].lengths[rows].sum())
    assert len(set(first[:total].tolist()) | set(second[:total].tolist())) == 2 * total


@pytest.mark.parametrize("parts", [1, 2, 8])
@pytest.mark.parametrize("name", FORMATS)
def test_every_rank_gets_as_many_micro_batches(name, parts):
    source = batches(name, packed=True, tokens=100, parts=parts)
    for step in range(4):
        update = source[step]
        assert len(update.micro_batches) % parts == 0
        assert packed_samples(update) == padded_samples(batches(name, packed=False)[step])


@pytest.fixture(scope="module")
def many_tokens():
    """Text for a few updates of 65,536 tokens, and its vocabulary."""
    return random_store(2000), toy_vocabulary(1 << 19)


@pytest.mark.parametrize("name", FORMATS)
def test_micro_batches_have_one_shape_and_hardly_a_token_for_nothing(many_tokens, name):
    """At the paper's 512 tokens a shape is compiled once for training and once for evaluation."""
    store, vocabulary = many_tokens
    samples = build(store, name, 512, seed=0)
    recipe = recipe_of(name, 512, batch={"sequences": 128, "unit": "tokens"})
    source = PretrainingBatches(store, samples, vocabulary, recipe, 65536, packed=True)
    heldout = HeldoutBatches(store, samples, vocabulary, recipe, 65536, packed=True)
    updates = [source[step] for step in range(4)]
    for made in (updates, heldout):
        assert len({shapes(micro) for update in made for micro in update.micro_batches}) == 1
    padded, real = (
        sum(update.figures[figure] for update in updates) for figure in ("padded", "tokens")
    )
    assert 1 <= padded / real <= 1.01


def shapes(micro: dict) -> tuple:
    """What a compiler makes a version of its own for."""
    return tuple((name, tuple(tensor.shape), tensor.dtype) for name, tensor in micro.items())


def test_heldout_masks_stay_the_same():
    for name in FORMATS:
        padded, packed = (
            HeldoutBatches(STORE, SAMPLES[name], VOCABULARY, recipe_of(name), 300, None, packed)
            for packed in (False, True)
        )
        assert sorted(sample for update in packed for sample in packed_samples(update)) == sorted(
            sample for update in padded for sample in padded_samples(update)
        )


def test_a_literal_packed_micro_batch():
    samples = build(toy_store(), "doc-sentences", 12)
    recipe = recipe_of("doc-sentences", 12, batch={"sequences": 2, "unit": "tokens"})
    source = PretrainingBatches(toy_store(), samples, toy_vocabulary(), recipe, 48, packed=True)
    (micro,) = source[0].micro_batches
    assert micro["offsets"].tolist()[:4] == [0, 12, 17, 29]
    assert micro["ids"].tolist()[:19] == [
        *(0, 33, 34, 35, 36, 63, 38, 63, 40, 41, 42, 2),
        *(0, 43, 44, 63, 2),
        *(1, 1),
    ]
    assert micro["places"].tolist()[:19] == [*range(12), *range(5), 0, 1]
    assert micro["positions"].tolist()[:4] == [5, 7, 15, 0]
    assert micro["labels"].tolist()[:4] == [37, 39, 45, 1]
    assert micro["weights"].tolist()[:4] == [1, 1, 1, 0]


@given(
    st.lists(st.integers(5, 64), min_size=1, max_size=60),
    st.integers(1, 5),
    st.integers(64, 400),
)
def test_every_sample_is_dealt_once_within_the_shape(lengths, parts, micro_batch):
    lengths = np.array(lengths)
    shape = Shape.of(lengths.mean(), 64, int(lengths.sum()), micro_batch, 0.15)
    targets = np.maximum(1, np.round(0.15 * lengths)).astype(int)
    groups = deal(lengths, targets, shape, parts)
    assert len(groups) % parts == 0
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    for group in groups:
        assert lengths[group].sum() <= shape.tokens
        assert targets[group].sum() <= shape.targets
        sizes = np.diff(offsets_of(lengths[group], shape))
        assert sizes[: len(group)].tolist() == lengths[group].tolist()
        assert sizes.sum() == shape.tokens and sizes.max() <= 64
