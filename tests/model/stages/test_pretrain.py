"""Pre-training of every format: gradients for any split, golden losses, the command itself."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from forked import Child, run_world
from pretraining_toy import FORMATS, arguments, make_study, publish_inputs
from project import ROOT
from safetensors.torch import load_file
from signals import heed_signals
from training_toy import OPTIMISER, optimiser

from model.stages.pretrain import Data, evaluation_steps, figures_of, main, make_model, weights_seed
from model.text.tokenizer import Vocabulary
from model.training.distributed import open_ranks
from model.training.engine import Training
from model.training.execution import parse_execution
from model.training.state import TrainingResult
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest
from study.recipes import parse_recipe
from study.run import open_run
from study.stages import VERSIONS

GOLDEN = ROOT / "tests/golden" / "pretraining_losses.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("study")


def manifests(folder: Path, recipe: dict) -> dict:
    names = {"store": "store", "vocabulary": "vocabulary", "samples": recipe["format"]["name"]}
    return {stage: load_manifest(folder / f"{name}.json") for stage, name in names.items()}


def gradients(folder: Path, recipe: dict, micro: int, mode: str) -> dict[str, torch.Tensor]:
    """Gradients and losses of the first update, in micro-batches of `micro` rows at most."""
    tokens = micro * recipe["format"]["length"]
    execution = parse_execution({"mode": mode, "micro_batch_tokens": tokens, "tensorboard": False})
    parsed = parse_recipe(recipe, "pretrain")
    data = Data.open(manifests(folder, recipe), parsed, execution, world=1)
    update = data.training[0]
    targets = {float(batch["weights"].sum()) for batch in update.micro_batches}
    assert len(targets) > 1 or len(update.micro_batches) == 1
    model = make_model(parsed, data.vocabulary)
    training = Training(model, data.training, OPTIMISER, folder / "gradients", execution)
    losses = training.backward(update)
    return {**{name: p.grad.clone() for name, p in model.named_parameters()}, "losses": losses}


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("name", FORMATS)
def test_gradients_do_not_depend_on_micro_batches_and_ranks(folder, name, mode):
    # Nine inputs leave a micro-batch of another size, so that numbers of targets differ.
    recipe = make_study(folder, name, batch={"sequences": 9, "unit": "tokens"})
    assert recipe["model"]["dropout"] == recipe["model"]["attention_dropout"] == 0.1
    whole = gradients(folder, recipe, 64, mode)
    assert float(whole["losses"].sum()) > 3
    for micro, world in ((4, 1), (2, 1), (4, 2), (2, 2)):

        def rank(micro=micro):
            with open_ranks("cpu"):
                found = gradients(folder, recipe, micro, mode)
            for parameter, gradient in found.items():
                torch.testing.assert_close(gradient, whole[parameter], rtol=0, atol=1e-6)

        run_world(world, rank)


def test_seeds_of_weights_are_a_hash():
    assert weights_seed(0) == 8816929123656904866
    assert len({weights_seed(seed) for seed in range(100)}) == 100


def test_without_updates_the_weights_are_those_that_the_seed_draws(folder, tmp_path):
    recipe = make_study(folder, "full-sentences", steps=0)
    run(folder, recipe, tmp_path)
    manifest = load_manifest(tmp_path / "manifest.json", key=key_of(recipe))
    assert (manifest.figures["steps"], manifest.figures["tokens"]) == (0, 0)
    assert manifest.figures["heldout_loss"] == pytest.approx(math.log(63), abs=0.5)
    assert manifest.figures["curve"] == [[0, manifest.figures["heldout_loss"]]]
    vocabulary = Vocabulary.load(manifests(folder, recipe)["vocabulary"])
    drawn = make_model(parse_recipe(recipe, "pretrain"), vocabulary).state_dict()
    for name, tensor in load_file(manifest.file("model.safetensors")).items():
        assert torch.equal(tensor, drawn[name])


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_accumulated_batches_train_as_whole_ones(folder, tmp_path, mode):
    """1,024 sequences an update, at once or as four of 256: the same weights after five updates."""
    recipe = make_study(
        folder, "full-sentences", batch={"sequences": 1024, "unit": "sequences"}, steps=5
    )
    recipe["optimiser"] = {**recipe["optimiser"], "learning_rate": 1e-3}  # table 3's highest
    weights = []
    for rows in (1024, 256):
        place = tmp_path / f"{rows}"
        tokens = rows * recipe["format"]["length"]
        run(folder, recipe, place, mode=mode, micro_batch_tokens=tokens)
        weights.append(load_file(place / key_of(recipe) / "model.safetensors"))
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=0, atol=1e-6)


def run(folder: Path, recipe: dict, place: Path, **execution) -> Path:
    main(arguments(folder, recipe, place / "manifest.json", **execution))
    return place / key_of(recipe)


@pytest.mark.parametrize("name", FORMATS)
def test_golden_losses(folder, tmp_path, name):
    """A change here is a change of results: bump the stage's version with the file."""
    directory = run(folder, make_study(folder, name), tmp_path)
    lines = [json.loads(line) for line in (directory / "log.jsonl").open()]
    losses = [line["loss"] for line in lines if "loss" in line]
    golden = json.loads(GOLDEN.read_text())
    assert golden["version"] == VERSIONS["pretrain"], "other version, other losses: renew the file"
    assert losses == pytest.approx(golden[name], abs=1e-5)


def test_figures_and_files(folder, tmp_path):
    recipe = make_study(folder, "segment-pair")
    directory = run(folder, recipe, tmp_path)
    manifest = load_manifest(tmp_path / "manifest.json", key=key_of(recipe), stage="pretrain")
    assert set(manifest.files) == {"model.safetensors", "log.jsonl"}
    figures = manifest.figures
    assert [step for step, _ in figures["curve"]] == [10, 20]
    assert figures["curve"][-1][1] == figures["heldout_loss"] < 4.2
    assert figures["heldout_perplexity"] == pytest.approx(2.718281828 ** figures["heldout_loss"])
    assert set(figures["corpora"]) == {"a", "b"}
    losses = sorted(corpus["loss"] for corpus in figures["corpora"].values())
    assert losses[0] < figures["heldout_loss"] < losses[1]
    assert figures["tokens"] == pytest.approx(20 * 8 * 32, rel=0.01)
    assert (figures["steps"], figures["diverged"]) == (20, None)
    weights = load_file(directory / "model.safetensors")
    assert sum(tensor.numel() for tensor in weights.values()) == figures["parameters"]
    provenance = json.loads((directory / "provenance.json").read_text())
    assert provenance["training"]["tokens_per_second"] > 0
    assert provenance["training"]["utilisation"] > 0
    assert not (directory / "checkpoints").exists()


@pytest.mark.parametrize("name", ["segment-pair", "sentence-pair"])
def test_next_sentence_accuracy_is_a_plain_count_of_held_out_pairs(folder, tmp_path, name):
    recipe = make_study(folder, name)
    directory = run(folder, recipe, tmp_path)
    figures = load_manifest(tmp_path / "manifest.json").figures
    parsed = parse_recipe(recipe, "pretrain")
    data = Data.open(manifests(folder, recipe), parsed, parse_execution({}), world=1)
    model = make_model(parsed, data.vocabulary)
    model.load_state_dict(load_file(directory / "model.safetensors"))
    answers, labels = [], []
    for update in (update for batches in data.heldout.values() for update in batches):
        for micro in update.micro_batches:
            hidden = model.eval().encoder(micro["ids"], micro["lengths"], micro["segments"])
            found = model.nsp(hidden[:, 0]).tolist()
            labels += micro["nsp"].tolist()
            answers += [
                (random > follows) == bool(label)
                for (follows, random), label in zip(found, micro["nsp"].tolist(), strict=True)
            ]
    assert len(answers) >= 20
    assert figures["heldout_nsp_accuracy"] == 100 * sum(answers) / len(answers)
    commoner = max(labels.count(0), labels.count(1))
    assert figures["heldout_nsp_majority"] == 100 * commoner / len(labels)
    along = [json.loads(line) for line in (directory / "log.jsonl").open()]
    along = [line["evaluation/nsp_accuracy"] for line in along if "evaluation/mlm" in line]
    assert len(along) == 2
    assert along[-1] == figures["heldout_nsp_accuracy"]


def test_without_next_sentence_there_is_no_accuracy(folder, tmp_path):
    directory = run(folder, make_study(folder, "full-sentences", steps=0), tmp_path)
    figures = load_manifest(tmp_path / "manifest.json").figures
    assert (figures["heldout_nsp_accuracy"], figures["heldout_nsp_majority"]) == (None, None)
    assert "nsp" not in (directory / "log.jsonl").read_text()


def test_a_corpus_without_heldout_text_is_told(folder, tmp_path, capsys):
    publish_inputs(tmp_path / "study", heldout=(1, 1))
    recipe = make_study(tmp_path / "study", "full-sentences", steps=0)
    run(tmp_path / "study", recipe, tmp_path)
    told = (
        "a: no held-out sample, so no perplexity of its own; a larger corpora.a.heldout_fraction "
        "holds documents out\n"
    )
    assert told in capsys.readouterr().err
    figures = load_manifest(tmp_path / "manifest.json").figures
    assert set(figures["corpora"]) == {"b"}
    assert figures["heldout_loss"] == figures["corpora"]["b"]["loss"]


def test_a_finished_run_is_adopted(folder, tmp_path):
    recipe = make_study(folder, "doc-sentences")
    directory = run(folder, recipe, tmp_path)
    events = (directory / "events.jsonl").read_text()
    (tmp_path / "manifest.json").unlink()
    assert run(folder, recipe, tmp_path) == directory
    assert (tmp_path / "manifest.json").exists()
    assert (directory / "events.jsonl").read_text() == events


def test_a_diverged_run_says_so(folder, tmp_path):
    recipe = make_study(folder, "doc-sentences")
    recipe["optimiser"] = optimiser(learning_rate=1e30).in_recipe()
    run(folder, recipe, tmp_path, mode="fast")
    figures = load_manifest(tmp_path / "manifest.json").figures
    assert figures["diverged"] == figures["steps"] < 20
    assert figures["heldout_loss"] is None


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("rate", [10, 1e3, 1e6, 1e30])
def test_no_learning_rate_stops_the_stage(folder, tmp_path, rate, precision, mode):
    recipe = make_study(folder, "segment-pair", steps=6)
    recipe["optimiser"] = optimiser(learning_rate=rate).in_recipe()
    run(folder, recipe, tmp_path, mode=mode, precision=precision)
    figures = load_manifest(tmp_path / "manifest.json").figures
    assert (figures["diverged"] is None) == (figures["heldout_perplexity"] is not None)
    assert figures["diverged"] or figures["steps"] == 6


def test_a_held_out_perplexity_beyond_all_numbers_is_a_divergence():
    losses = {"mlm": 800.0, "nsp": 0.7, "mlm/a": 800.0}
    result = TrainingResult(
        20, None, [(20, losses)], dict.fromkeys(("tokens", "masked", "samples"), 1), 1.0
    )
    figures = figures_of(result, torch.nn.Linear(1, 1), {"a": None})
    assert (figures["diverged"], figures["heldout_perplexity"]) == (20, None)
    assert figures["corpora"] == {"a": {"loss": None, "perplexity": None}}
    assert figures["curve"] == [[20, 800.0]]
    sound = replace(result, curve=[(20, {**losses, "mlm": 2.0, "mlm/a": 2.0})])
    assert figures_of(sound, torch.nn.Linear(1, 1), {"a": None})["diverged"] is None
    # Without anything held out there is no loss, which says nothing about the training.
    nothing = replace(result, curve=[(20, {"mlm": math.nan})])
    assert figures_of(nothing, torch.nn.Linear(1, 1), {})["diverged"] is None


def test_a_single_update_trains(folder, tmp_path):
    recipe = make_study(folder, "full-sentences", steps=1)
    recipe["optimiser"] = optimiser(warmup=0.0, learning_rate=1e-3).in_recipe()
    directory = run(folder, recipe, tmp_path)
    vocabulary = Vocabulary.load(manifests(folder, recipe)["vocabulary"])
    drawn = make_model(parse_recipe(recipe, "pretrain"), vocabulary).state_dict()
    trained = load_file(directory / "model.safetensors")
    moved = [(trained[name] - tensor).abs().max().item() for name, tensor in drawn.items()]
    assert max(moved) == pytest.approx(1e-3, rel=0.01)
    (line,) = [json.loads(x) for x in (directory / "log.jsonl").open() if '"lr"' in x]
    assert line["lr"] == 1e-3


def published(place: Path) -> tuple[bytes, ...]:
    manifest = load_manifest(place / "manifest.json")
    return (manifest.path.read_bytes(), *(manifest.file(n).read_bytes() for n in manifest.files))


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "--")


def command(*arguments: str, processes: int = 1, launcher: tuple = ()) -> subprocess.Popen:
    launcher = ("model.launch", str(processes)) if processes > 1 else launcher
    strict = () if launcher == TORCHRUN else ("-W", "error")
    return subprocess.Popen(
        [sys.executable, *strict, "-m", *launcher, "model.stages.pretrain", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=heed_signals,
    )


def messages(child: subprocess.Popen) -> list[str]:
    """What a command said on stderr, without the lines of a training that goes well."""
    output, errors = child.communicate()
    assert output == ""
    lines = errors.splitlines()
    return [line for line in lines if not line.startswith("step ") and " trains " not in line]


def stop_under_way(folder: Path, recipe: dict, place: Path) -> str:
    """Train with TensorBoard and stop by SIGTERM, again if it was done before; its last line."""
    events = place / key_of(recipe) / "events.jsonl"
    while True:
        child = command(*arguments(folder, recipe, place / "manifest.json", tensorboard=True))
        while child.poll() is None and not (events.exists() and '"log"' in events.read_text()):
            time.sleep(0.005)
        child.send_signal(signal.SIGTERM)
        lines = messages(child)
        if child.returncode == 0:
            shutil.rmtree(place)
            continue
        assert (child.returncode, len(lines)) == (75, 1)
        return lines[0]


def test_stopped_command_exits_75_and_goes_on_as_two_processes(folder, tmp_path):
    recipe = make_study(folder, "segment-pair", steps=60)
    stopped, through = tmp_path / "stopped", tmp_path / "through"
    run(folder, recipe, through)
    line = stop_under_way(folder, recipe, stopped)
    assert line.startswith("stopped: SIGTERM, after update ")
    events = stopped / key_of(recipe) / "events.jsonl"
    second = command(*arguments(folder, recipe, stopped / "manifest.json"), processes=2)
    assert messages(second) == []
    assert second.returncode == 0
    assert published(stopped) == published(through)
    assert [json.loads(line)["world"] for line in events.open() if '"start"' in line] == [1, 2]


def test_torchs_own_launcher_starts_it_as_well(folder, tmp_path):
    recipe = make_study(folder, "doc-sentences", steps=3)
    run(folder, recipe, tmp_path / "alone")
    place = tmp_path / "together" / "manifest.json"
    log = ("--log", str(tmp_path / "log"))
    child = command(*arguments(folder, recipe, place), *log, launcher=TORCHRUN)
    child.communicate()
    assert child.returncode == 0
    assert published(tmp_path / "together") == published(tmp_path / "alone")


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_for_the_lock_obeys_a_signal(folder, tmp_path, processes, number):
    recipe = make_study(folder, "full-sentences")
    with open_run(tmp_path / "manifest.json", recipe):
        child = command(*arguments(folder, recipe, tmp_path / "manifest.json"), processes=processes)
        assert child.stderr.readline().startswith("waiting for ")
        child.send_signal(number)
        (line,) = messages(child)
    assert child.returncode == 75
    assert re.fullmatch(r"stopped: SIG\w+, while waiting for .*/lock; run the same .*", line)


def test_bad_input_of_several_processes_is_one_line(folder, tmp_path):
    recipe = make_study(folder, "full-sentences")
    place = arguments(folder, {**recipe, "store": "0" * 12}, tmp_path / "manifest.json")
    child = command(*place, processes=3)
    (line,) = messages(child)
    assert child.returncode == 2
    assert line.startswith(f"error: {folder}/store.json: field key: made from recipe ")
    (tmp_path / key_of(recipe)).touch()  # which the first process alone finds
    child = command(*arguments(folder, recipe, tmp_path / "manifest.json"), processes=3)
    (line,) = messages(child)
    assert child.returncode == 2
    assert line == f"error: {tmp_path}/{key_of(recipe)}: expected a folder; remove what lies there"


def test_a_second_start_waits_and_adopts(folder, tmp_path):
    recipe = make_study(folder, "full-sentences", steps=40)
    starts = [Child(lambda: run(folder, recipe, tmp_path)) for _ in range(2)]
    assert [child.wait() for child in starts] == [0, 0]
    events = [json.loads(x) for x in (tmp_path / key_of(recipe) / "events.jsonl").open()]
    assert [e["event"] for e in events if e["event"] != "log"] == ["start", "stop"]


def test_bad_arguments_are_one_line(folder, tmp_path):
    recipe = make_study(folder, "doc-sentences")
    with pytest.raises(StudyError, match=r"^--recipe: field lr: unknown"):
        run(folder, {**recipe, "lr": 1}, tmp_path)
    with pytest.raises(StudyError, match=r"^--execution: field device"):
        run(folder, recipe, tmp_path, device="tpu")
    with pytest.raises(StudyError, match=r"field key: made from recipe"):
        run(folder, {**recipe, "store": "0" * 12}, tmp_path)
    (folder / "doc-sentences.json").rename(folder / "gone.json")
    try:
        with pytest.raises(StudyError, match=r"doc-sentences.json: No such file"):
            run(folder, recipe, tmp_path)
    finally:
        (folder / "gone.json").rename(folder / "doc-sentences.json")


def test_evaluation_steps():
    assert evaluation_steps(100, 4) == [25, 50, 75, 100]
    assert evaluation_steps(10, 3) == [3, 7, 10]
    assert evaluation_steps(2, 10) == [1, 2]
