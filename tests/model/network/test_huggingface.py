"""Our logits equal those of transformers with the same random weights."""

import network_toy as toy
import pytest
import torch
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForPreTraining,
    RobertaConfig,
    RobertaForMaskedLM,
)

from model.network.huggingface import architecture, to_transformers, transformers_config
from model.network.pretraining import PretrainingModel

CLASSES = {"bert": (BertConfig, BertForPreTraining), "roberta": (RobertaConfig, RobertaForMaskedLM)}


class Ids:
    size, start, pad, separator = toy.VOCABULARY, 0, toy.PAD, 2


def twins(nsp: bool, segments: bool, **changes):
    """Our network with random weights, and transformers' with the same."""
    config = toy.config(layer_norm_eps=1e-4, **changes)
    ours = toy.randomise(PretrainingModel(config, toy.VOCABULARY, segments=segments, nsp=nsp))
    state = ours.state_dict()
    name = architecture(state)
    values = transformers_config(ours.encoder.config, state, Ids, name)
    of_config, of_model = CLASSES[values["model_type"]]
    assert values["architectures"] == [of_model.__name__]
    theirs = of_model(of_config(**values))
    found = theirs.load_state_dict(to_transformers(state, Ids, name), strict=False)
    theirs.tie_weights()
    assert not found.unexpected_keys
    assert all("decoder" in name or "position_ids" in name for name in found.missing_keys)
    return ours, theirs


def logits(ours, theirs, micro):
    """Pairs of logits at the real tokens, and of next-sentence logits where there are such."""
    real = torch.arange(micro["ids"].shape[1]) < micro["lengths"][:, None]
    inputs = {"input_ids": micro["ids"], "attention_mask": real.long()}
    if ours.encoder.segments is not None:
        inputs["token_type_ids"] = micro["segments"]
    output = theirs(**inputs)
    hidden = ours.encoder(micro["ids"], micro["lengths"], micro["segments"])
    found = ours.mlm(hidden[real], ours.encoder.words.weight)[:, : toy.VOCABULARY]
    if ours.nsp is None:
        return [(found, output.logits[real])]
    return [
        (found, output.prediction_logits[real]),
        (ours.nsp(hidden[:, 0]), output.seq_relationship_logits),
    ]


@pytest.mark.parametrize(
    ("nsp", "segments"), [(True, True), (True, False), (False, False), (False, True)]
)
def test_equal_logits(nsp, segments):
    ours, theirs = twins(nsp, segments)
    with torch.no_grad():
        for found, expected in logits(ours.eval(), theirs.eval(), toy.pretraining_micro()):
            assert found.std() > 0.1
            assert (found - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("nsp", [True, False])
def test_equal_losses_and_gradients_in_training_mode(nsp):
    ours, theirs = twins(nsp, nsp, dropout=0.0, attention_dropout=0.0)
    micro = toy.pretraining_micro()
    found = ours.train()(micro)
    used = micro["weights"] > 0
    rows = torch.arange(3)[:, None].expand_as(used)
    labels = torch.full_like(micro["ids"], -100)
    labels[rows[used], micro["positions"][used]] = micro["labels"][used]
    real = torch.arange(24) < micro["lengths"][:, None]
    inputs = {"input_ids": micro["ids"], "attention_mask": real.long(), "labels": labels}
    if nsp:
        inputs |= {"token_type_ids": micro["segments"], "next_sentence_label": micro["nsp"]}
    expected = theirs.train()(**inputs).loss
    (found["mlm"] / 9 + (found["nsp"] / 3 if nsp else 0)).backward()
    expected.backward()
    assert (found["mlm"] / 9 + (found["nsp"] / 3 if nsp else 0)).item() == pytest.approx(
        expected.item(), abs=1e-5
    )
    table = f"{'bert' if nsp else 'roberta'}.embeddings.word_embeddings.weight"
    gradient = theirs.get_parameter(table).grad
    # Their table takes no gradient at the pad row through the embedding; neither does ours.
    assert torch.allclose(
        ours.encoder.words.weight.grad[: toy.VOCABULARY], gradient, atol=1e-5, rtol=1e-4
    )


def test_sum_of_losses_equals_theirs_on_the_same_positions():
    ours, theirs = twins(False, False)
    micro = toy.pretraining_micro()
    with torch.no_grad():
        real = torch.arange(24) < micro["lengths"][:, None]
        all_logits = theirs.eval()(input_ids=micro["ids"], attention_mask=real.long()).logits
        chosen = all_logits.gather(1, micro["positions"][..., None].expand(-1, -1, 100))
        losses = functional.cross_entropy(
            chosen.flatten(0, 1), micro["labels"].flatten(), reduction="none"
        )
        expected = (losses * micro["weights"].flatten()).sum()
        assert ours.eval()(micro)["mlm"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_layout_of_roberta():
    _, theirs = twins(False, False)
    state = to_transformers(twins(False, False)[0].state_dict(), Ids, "RobertaForMaskedLM")
    positions = state["roberta.embeddings.position_embeddings.weight"]
    assert positions.shape == (26, 32)
    assert positions[:2].abs().max() == 0
    assert state["roberta.embeddings.word_embeddings.weight"].shape == (100, 32)
    assert state["roberta.embeddings.token_type_embeddings.weight"].shape == (1, 32)
    assert theirs.config.max_position_embeddings == 26
