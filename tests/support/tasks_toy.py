"""Toy vocabularies and examples that the tests of the tasks share."""

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from model.tasks.columns import Examples
from model.text.tokenizer import Vocabulary
from study.kinds import KIND_FACTS
from study.recipes import RecipeTask

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
WORDS = ["the", "cat", "sat", "on", "a", "mat", "##s", "who", "where", "?", ".", "dog", "in", "1"]


def wordpiece(words: list[str] = WORDS) -> Vocabulary:
    """Lower-casing WordPiece with exactly these entries between the special tokens."""
    entries = {token: i for i, token in enumerate([*SPECIALS, *words, "<mask>"])}
    tokenizer = Tokenizer(models.WordPiece(entries, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([*SPECIALS, "<mask>"])
    return Vocabulary(tokenizer)


def byte_bpe(texts: list[str], size: int = 300) -> Vocabulary:
    """Byte-level BPE trained on these texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[*SPECIALS, "<mask>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return Vocabulary(tokenizer)


def readable(vocabulary: Vocabulary, features, row: int) -> list[str]:
    """A row's tokens as text."""
    offsets = features.arrays["offsets"]
    tokens = features.arrays["tokens"][offsets[row] : offsets[row + 1]]
    return [vocabulary.tokenizer.id_to_token(int(token)) for token in tokens]


def sentences(texts: list[list[str]], labels: list) -> Examples:
    """Examples of a classification task, or of regression if the labels are not whole numbers."""
    kind = np.int64 if all(isinstance(label, int) for label in labels) else np.float32
    return Examples([str(i) for i in range(len(labels))], texts, np.array(labels, dtype=kind))


def questions(rows: list[tuple[str, str, list[str]]]) -> Examples:
    """Span examples from (question, context, gold answers, each at its first place)."""
    answers = [[(gold, context.index(gold)) for gold in golds] for _, context, golds in rows]
    return Examples(
        [f"q{i}" for i in range(len(rows))],
        [[row[0] for row in rows], [row[1] for row in rows], answers],
    )


FIELDS = {
    "texts": ["question", "sentence"],
    "label": "label",
    "labels": 2,
    "scale": 1,
    "stride": 2,
    "question_length": 2,
    "answer_length": 30,
    "answerability": False,
    "mined": 0,
    "candidates": "rules",
    "loss": "cross-entropy",
}


def make_task(kind: str, **fields) -> RecipeTask:
    """A task of this kind; what is not among `fields` is as usual."""
    facts = KIND_FACTS[kind]
    usual = {name: FIELDS[name] for name in facts.fields} | {"metrics": [facts.metrics[0]]}
    usual |= {"name": kind, "train": "train", "dev": "dev", "separators": 1}
    return RecipeTask(kind=kind, **(usual | fields))
