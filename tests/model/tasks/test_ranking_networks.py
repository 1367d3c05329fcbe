"""Networks that compare the rows of a unit: scores and losses against sums by hand."""

import math
from itertools import pairwise

import network_toy as toy
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tasks_toy import make_task
from torch.nn import functional

from model.network.finetuning import EncoderSpec, load_encoder
from model.network.pretraining import PretrainingModel
from model.tasks.batches import DevBatches, FineTuningBatches
from model.tasks.features import Features
from model.tasks.kinds import KINDS
from model.tasks.kinds.wsc import PronounModel, margin_loss
from model.tasks.units import by_unit, first_of_unit_loss, members_of
from study.errors import StudyError

MASK = 3
# Units of 3, 1 and 2 rows: (tokens without specials, first masked, number of masked tokens).
ROWS = [
    ([10, 11, 12, 13], 1, 2),
    ([10, 20, 13], 1, 1),
    ([10, 30, 31, 32, 13], 1, 3),
    ([40, 41], 0, 1),
    ([50, 51, 52], 2, 1),
    ([50, 51, 60, 61], 2, 2),
]
GROUPS = [0, 3, 4, 6]
TASK = make_task("wsc")


def features() -> Features:
    """The rows as a split."""
    originals = [[0, *tokens, 2] for tokens, *_ in ROWS]
    masked = [list(row) for row in originals]
    for row, (_, first, count) in zip(masked, ROWS, strict=True):
        row[1 + first : 1 + first + count] = [MASK] * count
    lengths = [len(row) for row in originals]
    return Features(
        {
            "tokens": np.concatenate(masked).astype(np.uint16),
            "originals": np.concatenate(originals).astype(np.uint16),
            "offsets": np.cumsum([0, *lengths]),
            "boundaries": np.array(lengths, dtype=np.int32),
            "groups": np.array(GROUPS),
            "labels": np.array([1, 1, 1]),
        }
    )


def build(kind="wsc", **changes):
    torch.manual_seed(0)
    spec = EncoderSpec(toy.config(), toy.VOCABULARY, False, toy.PAD)
    return toy.randomise(
        KINDS[kind].network(make_task(kind, **changes), spec, KINDS[kind].loss)
    ).eval()


def batches(of=TASK, tokens=10_000):
    settings = {"batch": 3, "epochs": 1, "seed": 0, "pad": toy.PAD, "segments": False}
    return FineTuningBatches(features(), of, micro_batch_tokens=tokens, **settings)


def scores_by_hand(model: PronounModel) -> list[float]:
    """Mean log-probability of every row's masked tokens, one row at a time."""
    found = []
    for tokens, first, count in ROWS:
        ids = torch.tensor([[0, *tokens, 2]])
        places = range(1 + first, 1 + first + count)
        masked = ids.clone()
        masked[0, list(places)] = MASK
        hidden = model.encoder(masked)
        logits = model.mlm(hidden[0], model.encoder.words.weight)
        logs = functional.log_softmax(logits, -1)
        found.append(sum(logs[place, ids[0, place]].item() for place in places) / count)
    return found


def test_a_candidate_scores_the_mean_log_probability_of_its_masked_tokens():
    model = build()
    expected = scores_by_hand(model)
    for tokens in (10_000, 32, 1):
        found = np.empty(len(ROWS))
        dev = DevBatches(features(), TASK, pad=toy.PAD, segments=False, micro_batch_tokens=tokens)
        for units, micro in dev:
            found[dev.rows(units)] = model.predict(micro)["scores"].detach().numpy()
        assert found == pytest.approx(expected, abs=1e-5)


def test_micro_batches_hold_whole_units():
    update = batches(tokens=32)[0]
    assert update.counts == {"wsc": 3}
    assert update.figures["samples"] == 3
    micro, other = update.micro_batches  # four rows of the longest's length fit
    assert other["members"].tolist() == [[0, -1], [1, 2]]
    assert micro["ids"].tolist() == [
        [0, 10, 3, 3, 13, 2, 1], [0, 10, 3, 13, 2, 1, 1], [0, 10, 3, 3, 3, 13, 2]
    ]  # fmt: skip
    assert micro["positions"].tolist() == [[2, 3, 0], [2, 0, 0], [2, 3, 4]]
    assert micro["targets"].tolist() == [[11, 12, 0], [20, 0, 0], [30, 31, 32]]
    assert micro["shares"][0].tolist() == [0.5, 0.5, 0.0]
    assert micro["members"].tolist() == [[0, 1, 2]]
    assert micro["weights"].tolist() == [1.0]
    assert set(micro) == {
        "ids", "lengths", "keys", "positions", "targets", "shares", "members", "weights"
    }  # fmt: skip


def test_members_are_rows_by_unit():
    assert members_of(features(), np.array([0, 1, 2])).tolist() == [
        [0, 1, 2], [3, -1, -1], [4, 5, -1]
    ]  # fmt: skip


def test_cross_entropy_is_over_the_query_and_its_candidates():
    model = build()
    scores = scores_by_hand(model)
    expected = sum(
        math.log(sum(math.exp(s) for s in scores[first:last])) - scores[first]
        for first, last in pairwise(GROUPS)
    )
    for tokens in (10_000, 1):
        losses = [model(micro) for micro in batches(tokens=tokens)[0].micro_batches]
        assert [list(loss) for loss in losses] == [["wsc"]] * len(losses)
        assert sum(loss["wsc"].item() for loss in losses) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (20.0, 0.2)])
def test_the_margin_counts_every_candidate(alpha, beta):
    model = build(loss="margin", alpha=alpha, beta=beta)
    scores = scores_by_hand(model)
    expected = sum(
        -scores[query] + alpha * max(0.0, scores[other] - scores[query] + beta)
        for query, other in ((0, 1), (0, 2), (4, 5))  # the unit of one row has no candidate
    )
    (micro,) = batches()[0].micro_batches
    loss = model(micro)["wsc"]
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    model.train()
    model(micro)["wsc"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_losses_by_formula():
    scores = torch.tensor([0.5, -0.5, 2.0, 1.0])
    members_UC = torch.tensor([[0, 1], [2, 3], [1, -1]])
    scores_UC = by_unit(scores, members_UC)
    assert scores_UC[2, 1] < -1e8
    weights = torch.tensor([1.0, 1.0, 0.0])
    # Two rows: the logistic loss of the difference.
    logistic = 2 * math.log(1 + math.exp(-1.0))
    assert first_of_unit_loss(scores_UC, weights).item() == pytest.approx(logistic)
    assert margin_loss(scores_UC, members_UC >= 0, weights, 2.0, 1.5).item() == pytest.approx(
        (-0.5 + 2 * 0.5) + (-2.0 + 2 * 0.5)
    )


def test_ranking_scores_a_row_and_compares_within_the_unit():
    model = build("ranking")
    (micro,) = batches(make_task("ranking"))[0].micro_batches
    assert set(micro) == {"ids", "lengths", "keys", "members", "weights"}
    scores = model.predict(micro)["logits"][:, 0]
    assert scores.shape == (6,)
    expected = sum(
        functional.cross_entropy(scores[rows[rows >= 0]][None], torch.tensor([0])).item()
        for rows in micro["members"]
    )
    losses = model(micro)
    assert list(losses) == ["ranking"]
    assert losses["ranking"].item() == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def pretrained(tmp_path):
    model = toy.randomise(PretrainingModel(toy.config(), toy.VOCABULARY, nsp=True), seed=5)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    return model, tmp_path / "model.safetensors"


def test_the_masked_language_head_comes_from_pretraining(pretrained):
    source, path = pretrained
    model = build()
    assert load_encoder(model, path) == []
    assert torch.equal(model.mlm.dense.weight, source.mlm.dense.weight)
    assert torch.equal(model.mlm.bias, source.mlm.bias)
    assert torch.equal(model.encoder.words.weight, source.encoder.words.weight)
    fresh = load_encoder(build("ranking"), path)
    assert fresh == [
        "head.dense.bias",
        "head.dense.weight",
        "head.output.bias",
        "head.output.weight",
    ]


def test_weights_without_that_head_are_refused(pretrained, tmp_path):
    source, _ = pretrained
    encoder = {k: v for k, v in source.state_dict().items() if k.startswith("encoder.")}
    save_file(encoder, tmp_path / "encoder.safetensors")
    with pytest.raises(StudyError, match=r"encoder.safetensors: tensor mlm.bias: missing"):
        load_encoder(build(), tmp_path / "encoder.safetensors")
