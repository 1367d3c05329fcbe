"""Masking: how many, where, with what and when."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_toy import framed_rows, toy_vocabulary

from model.samples.masking import HELDOUT_MASKING, Masker, target_count
from study.cells import Masking

VOCABULARY = toy_vocabulary(1000)
LENGTH = 128


def masking_of(**changes) -> Masking:
    return Masking.model_validate({**dict(HELDOUT_MASKING), **changes})


def mask(ids, lengths, masking=None, seed=0, samples=None, epoch=0, slots=None, masker=None):
    masker = masker or Masker(masking or HELDOUT_MASKING, VOCABULARY, seed, LENGTH)
    samples = torch.arange(len(ids)) if samples is None else samples
    epochs = torch.full((len(ids),), epoch, device=ids.device)
    maskable = masker.maskable(ids, lengths)
    slots = masker.slots(ids.shape[1] - 2) if slots is None else slots
    return masker(ids, maskable, samples, epochs, slots)


def test_literal_masks():
    ids = torch.tensor([[0, *range(10, 30), 2], [0, *range(40, 58), 2, 1, 1]])
    found = mask(ids, torch.tensor([22, 20]), seed=1, samples=torch.tensor([7, 8]), epoch=3)
    assert found["positions"].tolist() == [[10, 13, 19], [8, 14, 16]]
    assert found["labels"].tolist() == [[19, 22, 28], [47, 53, 55]]
    assert found["weights"].tolist() == [[1.0, 1.0, 1.0]] * 2
    changed = found["ids"].gather(1, found["positions"])
    assert changed.tolist() == [[999, 999, 999], [999, 53, 664]]


@pytest.mark.parametrize(
    ("maskable", "count"), [(0, 0), (1, 1), (3, 1), (9, 1), (11, 2), (126, 19), (510, 76)]
)
def test_target_count(maskable, count):
    assert target_count(0.15, maskable) == count


@pytest.mark.parametrize("special_tokens", [False, True])
def test_exactly_the_share_of_maskable_tokens_without_replacement(special_tokens):
    ids, lengths = framed_rows(200)
    found = mask(ids, lengths, masking_of(special_tokens=special_tokens), slots=19)
    for row in range(len(ids)):
        used = found["weights"][row] == 1
        positions = found["positions"][row][used]
        real = ids[row, : lengths[row]]
        maskable = len(real) if special_tokens else int((real >= 3).sum())
        assert int(used.sum()) == target_count(0.15, maskable)
        assert (positions.diff() > 0).all()
        assert torch.equal(found["labels"][row][used], ids[row, positions])
        if not special_tokens:
            assert (ids[row, positions] >= 3).all()
        assert (positions < lengths[row]).all()
        untouched = torch.ones(ids.shape[1], dtype=torch.bool)
        untouched[positions] = False
        assert torch.equal(found["ids"][row][untouched], ids[row][untouched])


def test_unused_slots():
    ids, lengths = framed_rows(50)
    found = mask(ids, lengths)
    unused = found["weights"] == 0
    assert unused.any()
    assert found["positions"].shape == (50, 19)
    assert (found["positions"][unused] == 0).all()
    assert (found["labels"][unused] == VOCABULARY.pad).all()
    assert (found["ids"][:, 0] == VOCABULARY.start).all()


def test_special_tokens_are_targets_only_if_asked():
    ids, lengths = framed_rows(500)
    plain = mask(ids, lengths)
    assert (plain["labels"][plain["weights"] == 1] >= 3).all()
    special = mask(ids, lengths, masking_of(special_tokens=True))
    labels = special["labels"][special["weights"] == 1]
    assert {0, 2, 3} <= set(labels.tolist())
    assert (labels != VOCABULARY.pad).all()


def test_unknown_words_are_masked_and_predicted_like_any_word():
    """BERT leaves out only its frame; texts without unknown words keep their masks."""
    known = torch.tensor([[0, *range(10, 30), 2], [0, *range(40, 58), 2, 1, 1]])
    lengths = torch.tensor([22, 20])
    unknown = torch.where(known >= 10, VOCABULARY.unknown, known)
    ids, samples = [known, unknown], torch.tensor([7, 8])
    plain, found = (mask(one, lengths, seed=1, samples=samples, epoch=3) for one in ids)
    assert plain["positions"].tolist() == [[10, 13, 19], [8, 14, 16]]
    assert torch.equal(found["positions"], plain["positions"])
    assert found["labels"].tolist() == [[3, 3, 3]] * 2
    changed = found["ids"].gather(1, found["positions"])
    assert changed.tolist() == [[999, 999, 999], [999, 3, 664]]


def test_every_word_is_masked_equally_often_and_unknown_is_never_a_random_word():
    rows = 4000
    ids = torch.full((rows, LENGTH), 500)
    ids[:, 1::2] = VOCABULARY.unknown
    ids[:, 0], ids[:, -1] = VOCABULARY.start, VOCABULARY.separator
    found = mask(ids, torch.full((rows,), LENGTH), masking_of(mask=0.0, random=1.0))
    assert found["weights"].sum() == rows * 19
    share = (found["labels"] == VOCABULARY.unknown).float().mean()
    assert float(share) == pytest.approx(0.5, abs=0.006)
    assert (found["ids"].gather(1, found["positions"]) != VOCABULARY.unknown).all()


def test_rows_without_maskable_tokens_have_no_targets():
    ids = torch.tensor([[0, 2, 2, 1], [1, 1, 1, 1]])
    found = mask(ids, torch.tensor([3, 0]))
    assert found["weights"].sum() == 0
    assert torch.equal(found["ids"], ids)


def test_shares_and_support_of_replacements():
    """80/10/10 by independent draws; random words are all ordinary words and nothing else."""
    rows = 8000
    ids = torch.full((rows, LENGTH), 500)
    ids[:, 0], ids[:, -1] = VOCABULARY.start, VOCABULARY.separator
    found = mask(ids, torch.full((rows,), LENGTH))
    new = found["ids"].gather(1, found["positions"]).flatten().numpy()
    count = len(new)
    assert count == rows * 19
    assert (new == VOCABULARY.mask).mean() == pytest.approx(0.8, abs=0.005)
    random = new[(new != VOCABULARY.mask) & (new != 500)]
    assert len(random) / count == pytest.approx(0.1, abs=0.004)
    assert (new == 500).mean() == pytest.approx(0.1, abs=0.004)
    assert set(random.tolist()) == set(VOCABULARY.ordinary.tolist()) - {500}
    counts = np.bincount(random, minlength=1000)[4:999]
    expected = len(random) / 994
    chi_square = ((counts[counts > 0] - expected) ** 2 / expected).sum()
    assert abs(chi_square - 993) < 5 * np.sqrt(2 * 993)


def test_shares_are_the_recipe_s():
    ids, lengths = framed_rows(300)
    kept = mask(ids, lengths, masking_of(mask=0.0, random=0.0))
    assert torch.equal(kept["ids"], ids)
    masked = mask(ids, lengths, masking_of(mask=1.0, random=0.0))
    new = masked["ids"].gather(1, masked["positions"])[masked["weights"] == 1]
    assert (new == VOCABULARY.mask).all()
    assert kept["positions"].equal(masked["positions"])


def test_positions_are_uniform():
    ids = torch.full((20_000, 22), 500)
    ids[:, 0], ids[:, -1] = VOCABULARY.start, VOCABULARY.separator
    found = mask(ids, torch.full((20_000,), 22))
    counts = torch.bincount(found["positions"].flatten(), minlength=22)
    assert counts[0] == counts[21] == 0
    expected = 20_000 * 3 / 20
    assert (counts[1:21] - expected).abs().max() < 5 * expected**0.5


def test_static_masks_repeat_after_the_copies():
    ids, lengths = framed_rows(20, shortest=64)
    policy = masking_of(policy="static", copies=10)
    epochs = [mask(ids, lengths, policy, epoch=epoch) for epoch in range(21)]
    for one in range(10):
        for other in range(one):
            same = epochs[one]["positions"] == epochs[other]["positions"]
            assert not same.all(dim=1).any()  # no sample has the same mask in two copies
    for epoch in range(10, 21):
        for name, tensor in epochs[epoch].items():
            assert torch.equal(tensor, epochs[epoch - 10][name])


def test_dynamic_masks_never_repeat():
    ids, lengths = framed_rows(20, shortest=64)
    epochs = torch.stack([mask(ids, lengths, epoch=e)["positions"] for e in range(30)])
    for sample in range(len(ids)):
        assert len({tuple(row) for row in epochs[:, sample].tolist()}) == 30


@pytest.mark.parametrize("policy", ["static", "dynamic"])
def test_masks_depend_on_the_seed(policy):
    ids, lengths = framed_rows(20)
    one, other = (
        mask(ids, lengths, masking_of(policy=policy, copies=4), seed=seed) for seed in (0, 1)
    )
    assert not torch.equal(one["positions"], other["positions"])


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.permutations(range(12)),
    st.integers(0, 3),
    st.sampled_from(["static", "dynamic"]),
)
def test_a_mask_depends_on_the_sample_and_not_on_its_batch(epoch, order, padding, name):
    policy = masking_of(policy=name, copies=10)
    ids, lengths = framed_rows(12, length=48)
    whole = mask(ids, lengths, policy, epoch=epoch, slots=7)
    order = torch.tensor(order)
    wider = torch.cat([ids, torch.full((12, 16 * padding), VOCABULARY.pad)], dim=1)
    moved = mask(wider[order], lengths[order], policy, samples=order, epoch=epoch, slots=7)
    for name in ("positions", "labels", "weights"):
        assert torch.equal(moved[name], whole[name][order])
    assert torch.equal(moved["ids"][:, :48], whole["ids"][order])
    alone = mask(ids[3:4], lengths[3:4], policy, samples=torch.tensor([3]), epoch=epoch, slots=7)
    assert torch.equal(alone["ids"][0], whole["ids"][3])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("special_tokens", [False, True])
def test_gpu_gives_the_same_bits(special_tokens):
    ids, lengths = framed_rows(256)
    policy = masking_of(special_tokens=special_tokens)
    here = mask(ids, lengths, policy)
    there = mask(ids.cuda(), lengths.cuda(), policy, samples=torch.arange(256).cuda())
    for name, tensor in here.items():
        assert torch.equal(tensor, there[name].cpu())
