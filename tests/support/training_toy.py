"""A tiny model and its updates: what the engine needs, without samples or network."""

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from model.network.dropout import Dropout
from model.training.distributed import open_ranks
from model.training.engine import Attempt, Evaluation, train
from model.training.execution import parse_execution
from model.training.state import TrainingResult
from study.cells import Optimiser

VOCABULARY, WIDTH = 50, 16


def optimiser(**changes) -> Optimiser:
    """The toys' optimiser with some fields changed."""
    chosen = {"learning_rate": 0.01, "beta2": 0.98, "warmup": 0.1}
    return Optimiser.usual(**{**chosen, **changes})


OPTIMISER = optimiser()


class ToyModel(nn.Module):
    """Embedding, dropout, LayerNorm, tied output: terms "word" and "sign"."""

    def __init__(self, dropout: float = 0.1):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        nn.init.normal_(self.words.weight, std=0.2)
        self.middle = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.bias = nn.Parameter(torch.zeros(VOCABULARY))
        self.sign = nn.Linear(WIDTH, 2)
        self.dropout = Dropout(dropout, 0)

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        hidden_BH = self.norm(self.middle(self.words(micro["ids"])))
        hidden_BH = self.dropout(hidden_BH, micro["keys"])
        logits_BV = hidden_BH @ self.words.weight.T + self.bias
        losses = {"word": (logits_BV, "labels", "weights"), "sign": (self.sign(hidden_BH), "signs")}
        sums = {}
        for term, (logits, labels, *weights) in losses.items():
            each = functional.cross_entropy(logits.float(), micro[labels], reduction="none")
            sums[term] = (each * micro[(weights or ["sign_weights"])[0]]).sum()
        return sums


@dataclass
class ToyUpdate:
    micro_batches: list[dict[str, Tensor]]
    counts: dict[str, int]
    figures: dict[str, float] = field(default_factory=dict)


class ToyUpdates:
    """Updates of `rows` rows, cut into micro-batches of `micro` rows; a function of the step."""

    passes = 2.0

    def __init__(self, steps: int, rows: int = 12, micro: int = 3, targets: float = 0.5):
        self.steps, self.rows, self.micro, self.targets = steps, rows, micro, targets
        self.broken = None  # a step with NaN weights
        self.gate = None  # (step, file): from this step on, updates wait until the file is there
        # (step, seconds): SIGKILL so long after the first update from this step on was asked for; a
        # run that goes on from a checkpoint may begin behind it.
        self.kill = None

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> ToyUpdate:
        self._wait_or_die(step)
        draw = np.random.default_rng((7, step))
        whole = {
            "ids": draw.integers(0, VOCABULARY, self.rows),
            "labels": draw.integers(0, VOCABULARY, self.rows),
            "weights": (draw.random(self.rows) < self.targets).astype(np.float32),
            "signs": draw.integers(0, 2, self.rows),
            "sign_weights": np.ones(self.rows, np.float32),
            "keys": draw.integers(-(2**63), 2**63, self.rows),
        }
        if step == self.broken:
            whole["weights"] *= np.nan
        micro_batches = [
            {name: torch.from_numpy(array[at : at + self.micro]) for name, array in whole.items()}
            for at in range(0, self.rows, self.micro)
        ]
        counts = {"word": int(np.nansum(whole["weights"])), "sign": self.rows}
        return ToyUpdate(micro_batches, counts, {"tokens": self.rows, "epoch": step / 10})

    def _wait_or_die(self, step: int) -> None:
        if self.gate is not None and step >= self.gate[0]:
            while not self.gate[1].exists():
                time.sleep(0.005)
        if self.kill is not None and step >= self.kill[0]:
            threading.Timer(self.kill[1], os.kill, (os.getpid(), signal.SIGKILL)).start()
        if self.kill is not None and step == self.steps - 1:
            time.sleep(3600)  # the end comes first


def train_toy(
    directory: Path,
    updates: ToyUpdates | None = None,
    model: ToyModel | None = None,
    section: Optimiser = OPTIMISER,
    evaluations: tuple[int, ...] = (10, 20),
    label: str = "",
    **execution,
) -> TrainingResult:
    """Train the toy in this process's world; the first rank writes model.safetensors."""
    chosen = parse_execution({"tensorboard": False, **execution})
    model = model or ToyModel()
    with open_ranks(chosen.device) as ranks:
        result = train(
            model,
            updates or ToyUpdates(20),
            section,
            execution=chosen,
            attempt=Attempt(directory, label),
            evaluation=Evaluation(
                evaluations,
                lambda module: {"norm": float(module.words.weight.double().norm())},
            ),
        )
        if ranks.first:
            save_file(dict(model.state_dict()), directory / "model.safetensors")
    return result


def outcome(directory: Path) -> tuple[bytes, bytes]:
    """The bytes that equal runs share."""
    return (directory / "model.safetensors").read_bytes(), (directory / "log.jsonl").read_bytes()
