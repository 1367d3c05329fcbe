"""The two sides of the fine-tuning benchmark: this project's parts, and transformers' Trainer.

In: a `Work`, what both share. Out: a `Turn` per training, with the seconds of what is compared.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import (
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    PrinterCallback,
    RobertaConfig,
    RobertaForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from model.network.huggingface import to_transformers, transformers_config
from model.network.pretraining import PretrainingModel
from model.tasks.batches import FineTuningBatches
from model.tasks.columns import Examples
from model.tasks.features import Features
from model.tasks.kinds import KINDS
from model.tasks.tuning import Inputs, build_model, outcome_of
from model.text.tokenizer import Vocabulary
from model.training.engine import Attempt, Evaluation, train
from model.training.execution import parse_execution
from study.cells import Model, Optimiser
from study.recipes import FinetuneRecipe, RecipeTask

OPTIMISER = Optimiser.usual(learning_rate=2e-5, warmup=0.1)
PADDING = {  # arm -> options of the Trainer, whether rows are padded beforehand
    "transformers": ({}, False),
    "transformers, by length": ({"train_sampling_strategy": "group_by_length"}, False),
    "transformers, to the limit": ({}, True),
}


@dataclass
class Work:
    """What both sides share."""

    task: RecipeTask
    train: Examples
    dev: Examples
    vocabulary: Vocabulary
    network: Model
    args: argparse.Namespace
    folder: Path

    @property
    def device(self) -> torch.device:
        """Where both train."""
        return torch.device(self.args.device)

    @property
    def counted(self) -> int:
        """Examples of the updates after the warm-up; a turn is one pass over the training rows."""
        return (self.args.updates - self.args.warmup) * self.args.batch


@dataclass
class Turn:
    """One training of one arm; `seconds` are those of the `examples` after the warm-up."""

    examples: int
    seconds: float
    cpu_seconds: float  # the same of the processor: other programs disturb them little
    padded_length: float  # tokens of a row with its padding, on average
    prepared: float  # seconds of tokenising both splits, once per arm
    whole: float  # seconds of building the model, training and scoring


@dataclass
class Clock:
    """Runs from the end of one update to the end of another."""

    device: torch.device
    begin: int
    end: int
    marks: dict[int, tuple[float, float]] = field(default_factory=dict)

    def mark(self, step: int) -> None:
        """Note the time when `step` is one of the two."""
        if step in (self.begin, self.end):
            self.marks[step] = (now(self.device), time.process_time())

    @property
    def seconds(self) -> tuple[float, float]:
        """On the wall and of the processor, between the two marks."""
        begin, end = self.marks[self.begin], self.marks[self.end]
        return end[0] - begin[0], end[1] - begin[1]


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Ours:
    """The fine-tuning stage's parts: features made once, then one training per turn."""

    def __init__(self, work: Work):
        self.work, args = work, work.args
        started = time.perf_counter()
        self.splits = {name: self._features(work, name) for name in ("train", "dev")}
        self.prepared = time.perf_counter() - started
        execution = {"device": args.device, "precision": args.precision, "threads": args.threads}
        execution |= {"mode": args.mode, "tensorboard": False, "micro_batch_tokens": 8192}
        self.inputs = Inputs(
            label="",
            recipe=FinetuneRecipe.model_construct(task=work.task),
            network=work.network,
            segments=False,
            vocabulary=work.vocabulary,
            splits=self.splits,
            execution=parse_execution(execution),
        )

    @staticmethod
    def _features(work: Work, split: str) -> Features:
        examples = getattr(work, split)
        build = KINDS[work.task.kind].build
        return build(examples, work.vocabulary, work.task, work.args.length, split == "train")[0]

    def turn(self, number: int) -> Turn:
        """Build, train and score the model once."""
        work, device = self.work, self.work.device
        clock = Clock(device, work.args.warmup, work.args.updates)
        started = now(device)
        module, _ = build_model(self.inputs, work.folder / "model.safetensors", number)
        updates = FineTuningBatches(
            self.splits["train"],
            work.task,
            batch=work.args.batch,
            epochs=1,
            seed=number,
            **self.inputs.shape,
        )
        done = iter((clock.begin, clock.end))

        def evaluate(module: nn.Module) -> dict[str, float]:
            clock.mark(next(done))
            return {}

        with tempfile.TemporaryDirectory(dir=work.folder) as run:
            result = train(
                module,
                updates,
                OPTIMISER,
                execution=self.inputs.execution,
                attempt=Attempt(Path(run)),
                evaluation=Evaluation((clock.begin, clock.end), evaluate),
            )
        outcome_of(self.inputs, module, "dev")
        whole = now(device) - started
        padded = result.totals["padded"] / len(work.train)
        return Turn(work.counted, *clock.seconds, padded, self.prepared, whole)


class Theirs:
    """The Trainer as run_glue.py uses it."""

    def __init__(self, work: Work, options: dict, pad_to_limit: bool):
        self.work, self.options = work, options
        self.tokenizer = their_tokenizer(work.vocabulary)
        padding = "max_length" if pad_to_limit else False
        started = time.perf_counter()
        self.splits = {
            name: their_rows(self.tokenizer, examples, padding, work.args.length)
            for name, examples in (("train", work.train), ("dev", work.dev))
        }
        self.prepared = time.perf_counter() - started

    def turn(self, number: int) -> Turn:
        """Build, train and score the model once."""
        work, args, device = self.work, self.work.args, self.work.device
        clock = Clock(device, args.warmup, args.updates)
        torch.set_num_threads(args.threads)
        started = now(device)
        collator = CountingCollator(self.tokenizer)
        with tempfile.TemporaryDirectory(dir=work.folder) as folder:
            trainer = Trainer(
                model=their_model(work, number),
                args=self._arguments(folder, number),
                train_dataset=self.splits["train"],
                eval_dataset=self.splits["dev"],
                data_collator=collator,
                processing_class=self.tokenizer,
                callbacks=[ClockCallback(clock)],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            padded = collator.padded / len(work.train)
            trainer.predict(self.splits["dev"])
        whole = now(device) - started
        return Turn(work.counted, *clock.seconds, padded, self.prepared, whole)

    def _arguments(self, folder: str, seed: int) -> TrainingArguments:
        """run_glue's defaults; nothing is written or drawn on the terminal."""
        args = self.work.args
        return TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=args.batch,
            per_device_eval_batch_size=args.batch,
            num_train_epochs=1,
            learning_rate=OPTIMISER.learning_rate,
            warmup_steps=round(OPTIMISER.warmup * args.updates),
            weight_decay=OPTIMISER.weight_decay,
            seed=seed,
            bf16=args.precision == "bf16",
            use_cpu=args.device == "cpu",
            dataloader_pin_memory=args.device == "cuda",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            log_level="error",
            **self.options,
        )


class CountingCollator(DataCollatorWithPadding):
    """Counts the tokens of the batches it makes."""

    padded = 0

    def __call__(self, rows: list[dict]) -> dict:
        """A batch."""
        batch = super().__call__(rows)
        self.padded += batch["input_ids"].numel()
        return batch


class ClockCallback(TrainerCallback):
    """Marks the ends of updates."""

    def __init__(self, clock: Clock):
        self.clock = clock

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """After an update."""
        self.clock.mark(state.global_step)


def their_tokenizer(vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    """The same vocabulary, with special tokens put where ours are."""
    name = {
        role: vocabulary.tokenizer.id_to_token(getattr(vocabulary, role))
        for role in ("start", "separator", "pad", "unknown", "mask")
    }
    start, end = name["start"], name["separator"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=vocabulary.tokenizer,
        cls_token=start,
        sep_token=end,
        pad_token=name["pad"],
        unk_token=name["unknown"],
        mask_token=name["mask"],
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B {end}",
        special_tokens=[(start, vocabulary.start), (end, vocabulary.separator)],
    )
    return tokenizer


def their_rows(
    tokenizer: PreTrainedTokenizerFast, examples: Examples, padding: str | bool, length: int
) -> list[dict]:
    """Rows of token ids and labels, as run_glue's preprocessing makes them."""
    encoded = tokenizer(*examples.columns, padding=padding, max_length=length, truncation=True)
    columns = (encoded["input_ids"], encoded["attention_mask"], examples.labels.tolist())
    return [
        {"input_ids": ids, "attention_mask": mask, "label": label}
        for ids, mask, label in zip(*columns, strict=True)
    ]


def their_model(work: Work, seed: int) -> RobertaForSequenceClassification:
    """transformers' network with the encoder that ours starts from."""
    torch.manual_seed(seed)
    state, name = initial_state(work), "RobertaForMaskedLM"  # whose encoder is taken
    values = transformers_config(work.network, state, work.vocabulary, name)
    config = RobertaConfig(**values, num_labels=work.task.labels)
    model = RobertaForSequenceClassification(config)
    model.load_state_dict(to_transformers(state, work.vocabulary, name), strict=False)
    return model


def initial_state(work: Work) -> dict[str, torch.Tensor]:
    """Weights of a network that was never pre-trained: the same every time."""
    torch.manual_seed(0)
    return PretrainingModel(work.network, work.vocabulary.size).state_dict()
