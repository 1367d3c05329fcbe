"""Fine-tuning networks: losses, predictions, and what comes from pre-training."""

import network_toy as toy
import pytest
import torch
from safetensors.torch import load_file, save_file
from tasks_toy import make_task
from torch.nn import functional

from model.network.finetuning import EncoderSpec, FineTuningModel, load_encoder
from model.network.pretraining import PretrainingModel
from model.tasks.kinds import KINDS
from study.errors import StudyError


def spec(segments=False, **changes):
    return EncoderSpec(toy.config(**changes), toy.VOCABULARY, segments, toy.PAD)


def build(name, segments=False, **fields):
    torch.manual_seed(0)
    kind = KINDS[name]
    return toy.randomise(kind.network(make_task(name, **fields), spec(segments), kind.loss)).eval()


def micro_batch(**more):
    return {**toy.inputs(), "weights": torch.tensor([1.0, 1.0, 0.0]), **more}


def backward_is_finite(model, micro):
    model.train()
    sum(model(micro).values()).backward()
    return all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_classification():
    model = build("classification", labels=3)
    micro = micro_batch(labels=torch.tensor([2, 0, 0]))
    logits = model.predict(micro)["logits"]
    expected = functional.cross_entropy(logits[:2], torch.tensor([2, 0]), reduction="sum")
    losses = model(micro)
    assert list(losses) == ["classification"]
    assert logits.shape == (3, 3)
    assert losses["classification"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert backward_is_finite(model, micro)


def test_regression():
    model = build("regression")
    micro = micro_batch(values=torch.tensor([0.5, 0.1, 9.0]))
    values = model.predict(micro)["logits"][:, 0]
    expected = (values[0] - 0.5) ** 2 + (values[1] - 0.1) ** 2
    losses = model(micro)
    assert list(losses) == ["regression"]
    assert losses["regression"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert backward_is_finite(model, micro)


def span_micro():
    context = torch.zeros(3, 24, dtype=torch.bool)
    context[0, 10:20] = context[1, 6:12] = True  # the third row is padding and has none
    return micro_batch(
        context=context,
        starts=torch.tensor([11, 0, 0]),
        ends=torch.tensor([15, 0, 0]),
        span_weights=torch.tensor([1.0, 0.0, 0.0]),
        answerable=torch.tensor([1, 0, 0]),
    )


def test_span_with_answerability():
    model, micro = build("span", answerability=True), span_micro()
    found, losses = model.predict(micro), model(micro)
    assert list(losses) == ["span", "answerability"]
    start = functional.cross_entropy(found["start"][0, 10:20], torch.tensor(1))
    end = functional.cross_entropy(found["end"][0, 10:20], torch.tensor(5))
    assert losses["span"].item() == pytest.approx((start + end).item() / 2, rel=1e-5)
    odds = found["answerable"]
    expected = -functional.logsigmoid(odds[0]) - functional.logsigmoid(-odds[1])
    assert losses["answerability"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert backward_is_finite(model, micro)


def test_no_span_outside_the_context():
    model, micro = build("span", answerability=False), span_micro()
    found = model.predict(micro)
    assert set(found) == {"start", "end"}
    for logits in found.values():
        assert logits.dtype == torch.float32
        shares = functional.softmax(logits, -1)
        assert shares[:2][~micro["context"][:2]].max() == 0
        assert (logits[micro["context"]] > -1e3).all()
    numbers = {**micro, "context": micro["context"].long()}
    assert torch.equal(model.predict(numbers)["start"], found["start"])
    assert list(model(micro)) == ["span"]


def test_choice():
    model = build("choice")
    rows = toy.inputs(lengths=(24, 20, 9, 11, 8, 24, 5, 6))
    micro = {**rows, "labels": torch.tensor([1, 3]), "weights": torch.tensor([1.0, 1.0])}
    first = torch.zeros(8, 1, dtype=torch.int64)
    scores = torch.stack([model.head(model.hidden(micro, first), None)[i, 0] for i in range(8)])
    logits = model.predict(micro)["logits"].view(2, 4)
    assert torch.equal(logits, scores.view(2, 4))
    losses = model(micro)
    expected = functional.cross_entropy(logits, torch.tensor([1, 3]), reduction="sum")
    assert list(losses) == ["choice"]
    assert losses["choice"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert backward_is_finite(model, micro)


@pytest.fixture
def pretrained(tmp_path):
    model = PretrainingModel(toy.config(), toy.VOCABULARY, segments=True, nsp=True)
    path = tmp_path / "model.safetensors"
    save_file(toy.randomise(model, seed=9).state_dict(), path)
    return path


def test_load_encoder_copies_the_encoder_and_names_what_is_new(pretrained):
    model = build("classification", segments=True, labels=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    new = load_encoder(model, pretrained)
    assert new == ["head.dense.bias", "head.dense.weight", "head.output.bias", "head.output.weight"]
    saved = load_file(pretrained)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name] if name in new else saved[name]), name


@pytest.mark.parametrize(
    ("change", "segments", "message"),
    [
        ({"ffn": 48}, True, r"tensor encoder\.layers\.0\.ffn_in\.bias: expected shape \(48,\), "),
        ({}, False, r"tensor encoder\.segments\.weight: not part of this network"),
        ({"layers": 3}, True, r"tensor encoder\.layers\.2\.attention\.output\.bias: missing"),
    ],
)
def test_another_encoder_is_one_line(pretrained, change, segments, message):
    model = FineTuningModel(None, spec(segments, **change), None)
    with pytest.raises(StudyError, match=message) as caught:
        load_encoder(model, pretrained)
    assert str(pretrained) in str(caught.value)


def test_a_file_that_is_no_safetensors_is_one_line(tmp_path):
    model = build("classification", labels=2)
    path = tmp_path / "model.safetensors"
    for content in (None, b"\x00" * 3, b"not tensors at all"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StudyError, match="not a readable safetensors file"):
            load_encoder(model, path)
