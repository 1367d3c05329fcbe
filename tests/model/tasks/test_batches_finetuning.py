"""Fine-tuning batches: literal tensors, and what may not depend on micro-batches or resume."""

import network_toy
import numpy as np
import pytest
import torch
from forked import run_world
from tasks_toy import make_task, questions, sentences, wordpiece
from training_toy import OPTIMISER

from model.network.finetuning import EncoderSpec
from model.samples.keyed import permutation
from model.tasks.batches import DevBatches, FineTuningBatches
from model.tasks.columns import Examples
from model.tasks.kinds import KINDS
from model.training.distributed import open_ranks
from model.training.engine import Training
from model.training.execution import parse_execution

VOCABULARY = wordpiece()
TEXTS = make_task("classification")


def build(examples, of, length, train=True):
    """Features of a split of a task."""
    return KINDS[of.kind].build(examples, VOCABULARY, of, length, train)[0]


def text_features(count: int):
    """Texts of 1 to 20 tokens."""
    texts = [" ".join(["cat"] * (1 + i * 7 % 20)) for i in range(count)]
    return build(sentences([texts], [i % 2 for i in range(count)]), TEXTS, 32)


def batches(features, of, **changes):
    settings = {
        "batch": 4, "epochs": 2, "seed": 0, "pad": 1, "segments": False, "micro_batch_tokens": 64
    }  # fmt: skip
    return FineTuningBatches(features, of, **(settings | changes))


def test_classification_tensors():
    examples = sentences([["cat", "the cat sat"], ["dog", "a dog ."]], [1, 0])
    features = build(examples, TEXTS, 32)
    update = batches(features, TEXTS, segments=True, epochs=1)[0]
    assert len(update.micro_batches) == 1
    micro = {name: tensor.tolist() for name, tensor in update.micro_batches[0].items()}
    keys = micro.pop("keys")
    assert micro == {
        "ids": [[0, 5, 2, 15, 2, 1, 1, 1, 1], [0, 4, 5, 6, 2, 8, 15, 14, 2]],
        "lengths": [5, 9],
        "segments": [[0, 0, 0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 1, 1]],
        "weights": [1, 1],
        "labels": [1, 0],
    }
    assert [row[:2] for row in keys] == [
        [6578099642252805552, 7716628513138278382],
        [2308695346089252154, 2986597260775731435],
    ]
    assert update.counts == {"classification": 2}
    assert update.figures == {"tokens": 14, "padded": 18, "samples": 2, "epoch": 0}


@pytest.mark.parametrize(
    ("multiple", "shapes"),
    [(1, [(1, 9), (2, 5)]), (4, [(1, 9), (1, 8), (1, 4)]), (8, [(1, 9), (1, 8), (1, 8)])],
)
def test_rows_are_padded_to_a_multiple_but_not_beyond_the_longest_of_all(multiple, shapes):
    texts = ["cat", "cat cat cat", "cat cat cat cat cat cat cat"]  # 3, 5 and 9 tokens
    features = build(sentences([texts], [0, 1, 0]), TEXTS, 32)
    found = batches(features, TEXTS, batch=3, micro_batch_tokens=10, multiple=multiple)[0]
    assert [micro["ids"].shape for micro in found.micro_batches] == shapes
    assert found.figures["tokens"] == 17


@pytest.mark.parametrize("answerability", [False, True])
def test_span_tensors(answerability):
    squad = make_task("span", stride=4, question_length=4, answerability=answerability)
    examples = questions([("who ?", "the cat sat on a mat", ["mat"])])
    features = build(examples, squad, 9, train=False)
    update = batches(features, squad)[0]
    assert len(update.micro_batches) == 1
    micro = {name: tensor.tolist() for name, tensor in update.micro_batches[0].items()}
    first = not answerability
    assert micro["context"] == [
        [first, False, False, False, True, True, False, False, False],
        [first, False, False, False, True, True, True, True, False],
    ]
    assert micro["starts"] == micro["ends"] == [5, 0]  # the second window is the shorter one
    assert micro["answerable"] == [1, 0]
    assert micro["weights"] == [1, 1]
    assert micro["span_weights"] == ([1, 0] if answerability else [1, 1])
    assert update.counts == ({"span": 1, "answerability": 2} if answerability else {"span": 2})


def test_choice_rows_stay_together():
    options = [["cat", "dog", "the mat", "a"], ["a", "on the mat", "cat", "in"]]
    examples = Examples(
        ["p", "q"], [["who", "where"], options, ["the cat", "a mat sat"]], labels=np.array([3, 1])
    )
    race = make_task("choice", question_length=8)
    features = build(examples, race, 32)
    update = batches(features, race, micro_batch_tokens=256)[0]
    micro = update.micro_batches[0]
    assert micro["ids"].shape == (8, 10)
    assert micro["labels"].tolist() == [3, 1]
    assert micro["ids"][:4, 2].tolist() == [5, 15, 4, 8]  # the first question's options
    assert update.counts == {"choice": 2}
    split = batches(features, race, micro_batch_tokens=1)[0]
    assert [micro["ids"].shape for micro in split.micro_batches] == [(4, 10), (4, 8)]


def test_regression_values():
    stsb = make_task("regression")
    features = build(sentences([["cat", "dog"]], [0.5, 2.5]), stsb, 32)
    update = batches(features, stsb)[0]
    assert sorted(update.micro_batches[0]["values"].tolist()) == [0.5, 2.5]
    assert update.counts == {"regression": 2}


def test_every_epoch_holds_every_unit_once_in_updates_of_the_batch_size():
    found = batches(text_features(203), TEXTS, batch=4, epochs=2)
    assert len(found) == 2 * 51
    sizes = [len(found.units(step)) for step in range(51)]
    assert sorted(sizes) == [3, *[4] * 50]
    epochs = [
        np.concatenate([found.units(51 * epoch + step) for step in range(51)]) for epoch in (0, 1)
    ]
    assert all(sorted(epoch.tolist()) == list(range(203)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    with pytest.raises(IndexError):
        found.units(102)


def test_without_grouping_an_update_holds_what_the_permutation_draws():
    features = text_features(203)
    found = batches(features, TEXTS, batch=4, epochs=1, group_by_length=False)
    drawn = permutation(0, "finetune-units", 0, 203)
    expected = sorted(sorted(drawn[start : start + 4].tolist()) for start in range(0, 203, 4))
    assert sorted(sorted(found.units(step).tolist()) for step in range(51)) == expected
    for step in range(51):
        lengths = features.lengths[found.units(step)].tolist()
        assert lengths == sorted(lengths)  # as micro-batches are cut


def test_updates_are_a_pure_function_of_seed_and_step():
    features = text_features(203)
    forward = batches(features, TEXTS)
    backward = batches(features, TEXTS, micro_batch_tokens=8)
    order = [backward.units(step).tolist() for step in reversed(range(len(forward)))]
    assert [forward.units(step).tolist() for step in range(len(forward))] == order[::-1]
    other = batches(features, TEXTS, seed=1)
    assert [other.units(step).tolist() for step in range(51)] != order[::-1][:51]


def test_micro_batches_hold_the_update_whatever_their_size():
    features = text_features(203)
    whole = batches(features, TEXTS, batch=16, micro_batch_tokens=10_000)
    parts = batches(features, TEXTS, batch=16, micro_batch_tokens=48)
    for step in range(len(whole)):
        one, many = whole[step], parts[step]
        assert len(one.micro_batches) == 1
        assert one.counts == many.counts
        rows = []
        for micro in many.micro_batches:
            assert micro["ids"].numel() <= 48 or len(micro["ids"]) == 1
            for ids, length, label in zip(
                micro["ids"].tolist(),
                micro["lengths"].tolist(),
                micro["labels"].tolist(),
                strict=True,
            ):
                assert set(ids[length:]) <= {1}
                rows.append((ids[:length], label))
        micro = one.micro_batches[0]
        expected = [
            (ids[:length], label)
            for ids, length, label in zip(
                micro["ids"].tolist(),
                micro["lengths"].tolist(),
                micro["labels"].tolist(),
                strict=True,
            )
        ]
        assert sorted(rows) == sorted(expected)


def test_a_token_s_key_of_dropout_is_that_of_its_epoch_row_and_position():
    features = text_features(203)

    def keys_of(found: FineTuningBatches, step: int) -> dict[tuple[int, int], int]:
        update, units = found[step], list(found.cut(found.units(step)))
        return {
            (row, position): key
            for micro, part in zip(update.micro_batches, units, strict=True)
            for row, keys in zip(found.rows(part).tolist(), micro["keys"].tolist(), strict=True)
            for position, key in enumerate(keys)
        }

    whole, parts, other = (
        batches(features, TEXTS, batch=203, micro_batch_tokens=tokens, seed=seed)
        for tokens, seed in ((10_000, 0), (48, 0), (10_000, 1))
    )
    first, second = keys_of(whole, 0), keys_of(whole, 1)
    assert len(first) > 2000
    assert keys_of(parts, 0).items() <= first.items()
    assert len({*first.values(), *second.values(), *keys_of(other, 0).values()}) == 3 * len(first)


@pytest.mark.parametrize("kind", ["classification", "span"])
def test_gradients_do_not_depend_on_micro_batches_and_ranks(tmp_path, kind):
    features, task = text_features(16), TEXTS
    if kind == "span":
        task = make_task("span", stride=4, question_length=4, answerability=True)
        contexts = ["the cat sat on a mat", "a dog sat on the mat . a cat sat in a mat", "a dog ."]
        examples = questions([("who ?", text, [text.split()[1]]) for text in contexts])
        features = build(examples, task, 12)

    def gradients(tokens: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        spec = EncoderSpec(network_toy.config(), VOCABULARY.size)
        model = network_toy.randomise(KINDS[kind].network(task, spec, KINDS[kind].loss))
        updates = batches(features, task, batch=16, micro_batch_tokens=tokens)
        execution = parse_execution({"tensorboard": False})
        training = Training(model, updates, OPTIMISER, tmp_path, execution)
        losses = training.backward(updates[0])
        return {**{name: p.grad for name, p in model.named_parameters()}, "losses": losses}

    whole = gradients(10_000)
    for tokens, world in ((64, 1), (24, 1), (64, 2), (24, 2)):

        def rank(tokens=tokens):
            with open_ranks("cpu"):
                for name, gradient in gradients(tokens).items():
                    torch.testing.assert_close(gradient, whole[name], rtol=0, atol=1e-6)

        run_world(world, rank)


def test_little_of_an_update_is_padding():
    features = text_features(2000)
    found = batches(features, TEXTS, batch=16, epochs=1, micro_batch_tokens=4096)
    figures = [found[step].figures for step in range(len(found))]
    assert sum(f["padded"] for f in figures) < 1.3 * sum(f["tokens"] for f in figures)


def test_dev_batches_hold_every_unit_once():
    features = text_features(50)
    dev = DevBatches(features, TEXTS, pad=1, segments=False, micro_batch_tokens=64)
    units = [unit for part, _ in dev for unit in part.tolist()]
    assert sorted(units) == list(range(50))
    for part, micro in dev:
        assert micro["lengths"].tolist() == features.lengths[part].tolist()
        assert "labels" not in micro
