"""The pre-training network: loss sums, target slots, unused vocabulary rows."""

import network_toy as toy
import pytest
import torch
from torch.nn import functional

from model.network.pretraining import PretrainingModel


def network(nsp=True, **changes) -> PretrainingModel:
    torch.manual_seed(0)
    model = PretrainingModel(toy.config(**changes), toy.VOCABULARY, segments=nsp, nsp=nsp)
    return toy.randomise(model)


def gradients(model, *micro_batches) -> dict[str, torch.Tensor]:
    model.zero_grad()
    for micro in micro_batches:
        sum(model(micro).values()).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def test_sums_equal_cross_entropy_on_the_used_slots():
    model = network().eval()
    micro = toy.pretraining_micro()
    hidden = model.encoder(micro["ids"], micro["lengths"], micro["segments"])
    logits = model.mlm(hidden.flatten(0, 1), model.encoder.words.weight).view(3, 24, -1)
    mlm = sum(
        functional.cross_entropy(logits[b, micro["positions"][b, k]], micro["labels"][b, k])
        for b in range(3)
        for k in range(3)
    )
    nsp = functional.cross_entropy(model.nsp(hidden[:, 0]), micro["nsp"], reduction="sum")
    found = model(micro)
    assert list(model.terms) == ["mlm", "nsp"]
    assert list(found) == ["mlm", "nsp", "nsp_accuracy"] == list(model.measures)
    assert list(model.train()(micro)) == ["mlm", "nsp"]
    assert {sum.dtype for sum in found.values()} == {torch.float32}
    assert found["mlm"].item() == pytest.approx(mlm.item(), rel=1e-6)
    assert found["nsp"].item() == pytest.approx(nsp.item(), rel=1e-6)


def test_without_next_sentence_there_is_one_term():
    model = network(nsp=False)
    assert list(model(toy.pretraining_micro())) == ["mlm"] == list(model.terms)
    assert list(model.eval()(toy.pretraining_micro())) == ["mlm"] == list(model.measures)
    assert not any(name.startswith(("nsp", "encoder.segments")) for name in model.state_dict())


def test_pairs_that_are_told_right_are_counted_but_for_unused_places():
    model = network().eval()
    with torch.no_grad():
        model.nsp.output.weight.zero_()
        model.nsp.output.bias.copy_(torch.tensor([0.0, 1.0]))  # always: B is random
    micro = toy.pretraining_micro(lengths=(24, 13, 5, 9))
    micro |= {"nsp": torch.tensor([1, 0, 1, 1]), "nsp_weights": torch.tensor([1.0, 1, 0, 1])}
    assert model(micro)["nsp_accuracy"].item() == 200


def test_a_fresh_network_knows_nothing():
    torch.manual_seed(0)
    model = PretrainingModel(toy.config(), toy.VOCABULARY, nsp=True)
    losses = model(toy.pretraining_micro())
    assert losses["mlm"].item() / 9 == pytest.approx(torch.tensor(100.0).log().item(), abs=0.1)
    assert losses["nsp"].item() / 3 == pytest.approx(torch.tensor(2.0).log().item(), abs=0.05)


def test_unused_vocabulary_rows_get_no_probability_and_no_gradient():
    model = network()
    logits = model.mlm(torch.randn(5, 32), model.encoder.words.weight)
    assert logits.shape == (5, 128)
    assert functional.softmax(logits, -1)[:, toy.VOCABULARY :].sum() == 0
    found = gradients(model, toy.pretraining_micro())
    assert found["encoder.words.weight"][toy.VOCABULARY :].abs().max() == 0
    assert found["encoder.words.weight"][: toy.VOCABULARY].abs().max() > 0


def test_the_word_table_is_the_decoder_and_appears_once():
    model = network()
    tables = [name for name, p in model.named_parameters() if p.shape[0] in (100, 128)]
    assert sorted(tables) == ["encoder.words.weight", "mlm.bias"]


def test_rows_may_be_cut_into_micro_batches_and_padded_with_empty_rows():
    model = network(dropout=0.0, attention_dropout=0.0)
    whole = toy.pretraining_micro()
    parts = [{name: tensor[rows] for name, tensor in whole.items()} for rows in ([0], [1, 2])]
    empty = {
        name: torch.cat([tensor, torch.zeros_like(tensor[:1])]) for name, tensor in parts[1].items()
    }
    expected = gradients(model, whole)
    for name, found in gradients(model, parts[0], empty).items():
        assert torch.allclose(found, expected[name], atol=1e-5), name


def test_a_micro_batch_without_targets_has_zero_loss_and_gradient():
    model = network()
    micro = toy.pretraining_micro()
    micro |= {"weights": torch.zeros(3, 4), "nsp_weights": torch.zeros(3)}
    assert all(loss.item() == 0 for loss in model(micro).values())
    assert all(found.abs().max() == 0 for found in gradients(model, micro).values())


def test_pads_get_no_gradient_through_the_embedding():
    model = network(nsp=False)
    micro = toy.pretraining_micro()
    other = {**micro, "ids": micro["ids"].masked_fill(micro["ids"] == toy.PAD, 50)}
    model.eval()
    assert model(micro)["mlm"].item() == pytest.approx(model(other)["mlm"].item(), rel=1e-6)


def test_bf16_autocast_gives_fp32_sums_near_the_exact_ones():
    model = network().eval()
    micro = toy.pretraining_micro()
    exact = model(micro)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(micro)
    for term, loss in rough.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact[term].item(), rel=0.02)
