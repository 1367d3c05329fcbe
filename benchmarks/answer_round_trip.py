"""Every gold answer of SQuAD's dev split: text -> features -> decoder -> text.

    python -m benchmarks.answer_round_trip --mirror DIR    # 1.1 and 2.0, both kinds of vocabulary
    python -m benchmarks.answer_round_trip --mirror DIR --task squad20 --kind byte-bpe --size 50265

Trains a vocabulary on the wiki, builds the features that a fine-tuning would read, gives the
decoder logits that point at the gold answer's tokens in every window that shows them all, and
compares the text that it returns. So this is what a perfect model would score. Misses are counted
by cause, with examples; without a mirror the data are generated.
"""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.task_data import generate_mirror, read_task, task_examples, wiki_vocabulary
from model.tasks.columns import Examples
from model.tasks.features import Features
from model.tasks.kinds import span
from model.tasks.squad_metric import normalise
from model.tasks.windows import Context, WindowSpans, answer_texts, best_spans
from model.text.tokenizer import Vocabulary
from study.command import command_parser, run_command
from study.recipes import RecipeTask

KINDS = ("wordpiece", "byte-bpe")
ROWS = 128  # windows decoded at a time
NO_WINDOW = "in no window whole"
NO_TOKEN = "no token shows it"
UNSHOWN = "characters that no token shows"
BLANKS = "white space"
PUNCTUATION = "shares a token with punctuation"
WORD = "part of a longer word or number"


class Windows:
    """The windows of a dev split, and the gold answers in turn."""

    def __init__(self, features: Features, answer_length: int):
        self.features = features
        self.answer_length = answer_length
        arrays = features.arrays
        self.questions = arrays["questions"]
        self.lengths = features.lengths
        self.offsets = arrays["offsets"][:-1]

    def touched(self, row: int, start: int, end: int) -> np.ndarray:
        """Places in a window of the tokens that show a character of start..end."""
        part = slice(self.offsets[row], self.offsets[row] + self.lengths[row])
        characters = self.features.arrays["characters"][part]
        visible = characters[:, 1] > characters[:, 0]
        return np.flatnonzero(visible & (characters[:, 1] > start) & (characters[:, 0] < end))

    def decode(self, golds: list[tuple[str, int] | None], tokens: list[int]) -> list[str | None]:
        """The decoder's text for a gold answer (or none) per question, `tokens` long in full.

        None where no window shows all its tokens, or where there is no gold answer.
        """
        rows = len(self.lengths)
        places = np.full((rows, 2), -1)
        for row, question in enumerate(self.questions.tolist()):
            gold = golds[question]
            if gold is not None:
                found = self.touched(row, gold[1], gold[1] + len(gold[0]))
                if len(found) and len(found) == tokens[question]:
                    places[row] = found[0], found[-1]
        spans = WindowSpans(np.full(rows, -np.inf), np.zeros(rows, int), np.zeros(rows, int))
        shown = np.flatnonzero(places[:, 0] >= 0)
        for begin in range(0, len(shown), ROWS):
            self._decode_rows(shown[begin : begin + ROWS], places, spans)
        texts, scores = answer_texts(self.features, spans)
        return [
            text if score > -np.inf else None for text, score in zip(texts, scores, strict=True)
        ]

    def _decode_rows(self, rows: np.ndarray, places: np.ndarray, spans: WindowSpans) -> None:
        """Fill the best spans of `rows` from logits that are 1 at the gold tokens, else 0."""
        width = int(self.lengths[rows].max())
        inside = np.arange(width) < self.lengths[rows][:, None]
        at = np.where(inside, self.offsets[rows][:, None] + np.arange(width), 0)
        flags = [self.features.arrays[name][at] & inside for name in ("may_start", "may_end")]
        logits = np.zeros((2, len(rows), width))
        for side in (0, 1):
            logits[side, np.arange(len(rows)), places[rows, side]] = 1.0
        best = best_spans(*logits, *flags, self.answer_length)
        spans.score[rows], spans.first[rows], spans.last[rows] = best.score, best.first, best.last


def gold_rounds(examples: Examples) -> Iterator[list[tuple[str, int] | None]]:
    """The different gold answers, one per question at a time; None where there is none left."""
    different = [list(dict.fromkeys(answers)) for answers in examples.columns[2]]
    for number in range(max(map(len, different))):
        yield [answers[number] if number < len(answers) else None for answers in different]


def cause_of(context: str, gold: tuple[str, int], shown: tuple[int, int]) -> str:
    """Why tokens from the one to the other character of `shown` differ from the gold answer."""
    text, start = gold
    end = start + len(text)
    if shown[0] > start or shown[1] < end:
        return UNSHOWN
    extra = context[shown[0] : start] + context[end : shown[1]]
    if not extra.strip():
        return BLANKS
    return WORD if any(map(str.isalnum, extra)) else PUNCTUATION


class Tally:
    """Gold answers by what became of them."""

    def __init__(self) -> None:
        self.answers = self.exact = self.normalised = 0
        self.causes: Counter[tuple[str, bool]] = Counter()  # cause, the same once normalised
        self.examples: dict[str, list[str]] = defaultdict(list)

    def add(self, gold: str, back: str | None, cause: str) -> None:
        """Count one answer, the text that came back, and the cause if it is another."""
        same = back is not None and normalise(back) == normalise(gold)
        self.answers += 1
        self.exact += back == gold
        self.normalised += same
        if back == gold:
            return
        self.causes[cause, same] += 1
        if not same and len(self.examples[cause]) < 3:
            shown = "nothing" if back is None else repr(back[:60])
            self.examples[cause].append(f"{gold[:60]!r} -> {shown}")

    def print(self) -> None:
        """Counts, shares and causes."""
        for name, count in (("exactly", self.exact), ("after normalisation", self.normalised)):
            print(f"  come back {name}: {count} ({100 * count / self.answers:.2f} %)")
        for cause in sorted({cause for cause, _ in self.causes}):
            lost, kept = self.causes[cause, False], self.causes[cause, True]
            print(f"  {cause}: {lost + kept} not exact, of which {lost} differ normalised too")
            for example in self.examples[cause]:
                print(f"      {example}")


def round_trip(examples: Examples, vocabulary: Vocabulary, task: RecipeTask, length: int):
    """The tally of a dev split, and the counts that the features stage publishes."""
    features, figures = span.build(examples, vocabulary, task, length, train=False)
    windows = Windows(features, task.answer_length)
    too_long = f"longer than {task.answer_length} tokens"
    distinct = list(dict.fromkeys(examples.columns[1]))
    encoded = zip(distinct, *vocabulary.encode_with_offsets(distinct), strict=True)
    contexts = {parts[0]: Context.of(*parts) for parts in encoded}
    tally = Tally()
    for golds in gold_rounds(examples):
        shown = [
            visible_characters(contexts[text], gold) if gold else None
            for text, gold in zip(examples.columns[1], golds, strict=True)
        ]
        found = windows.decode(golds, [0 if part is None else len(part) for part in shown])
        for text, gold, part, back in zip(examples.columns[1], golds, shown, found, strict=True):
            if gold is None:
                continue
            if back is None:
                cause = NO_WINDOW if len(part) else NO_TOKEN
            elif back != text[part[0, 0] : part[-1, 1]]:
                cause = too_long  # the decoder may not return so many tokens
            else:
                cause = cause_of(text, gold, (part[0, 0], part[-1, 1]))
            tally.add(gold[0], back, cause)
    return tally, figures["gold_answers"]


def visible_characters(context: Context, gold: tuple[str, int]) -> np.ndarray:
    """Characters (n, 2) of the context's tokens that show one of the gold answer's."""
    start, end = gold[1], gold[1] + len(gold[0])
    characters = context.characters
    touched = context.visible & (characters[:, 1] > start) & (characters[:, 0] < end)
    return characters[touched]


def main(argv: list[str] | None = None) -> None:
    """Print the tallies."""
    parser = command_parser(
        "benchmarks.answer_round_trip",
        __doc__.splitlines()[0],
        "python -m benchmarks.answer_round_trip --mirror DIR",
    )
    parser.add_argument("--mirror", type=Path, help="mirror of the hub; default: generated data")
    parser.add_argument("--task", nargs="+", default=["squad11", "squad20"])
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--size", type=int, default=30_000, help="of the vocabulary")
    parser.add_argument("--characters", type=int, default=20_000_000, help="for the vocabulary")
    parser.add_argument("--length", type=int, default=512, help="tokens of a window")
    parser.add_argument("--questions", type=int, help="only so many; default: all")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"validation": args.questions or 600}
        mirror = args.mirror or generate_mirror(Path(folder), dict.fromkeys(args.task, sizes))
        for kind in args.kind:
            vocabulary = wiki_vocabulary(mirror, kind, args.size, args.characters)
            for name in args.task:
                examples = task_examples(mirror, name, "dev", args.questions)
                task, _ = read_task(name)
                tally, counted = round_trip(examples, vocabulary, task, args.length)
                print(f"{name}, {kind} of {vocabulary.size}: {tally.answers} gold answers")
                tally.print()
                print(f"  counted by the features stage: {counted}", flush=True)


if __name__ == "__main__":
    run_command(main)
