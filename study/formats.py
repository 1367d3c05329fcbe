"""Input formats (section 4.2) as the study knows them: their names and what follows from them.

This table is where a format is registered: `model/samples/formats/` has a module of each name (with
underscores), which packs its samples. Here are the facts that recipes, paths and the plan need.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class FormatFacts:
    """What is known of a format before any text is read.

    pairs: an input has two parts, A and B, drawn with a seed, and a next-sentence label; an input
        of one part has separators inside, and every seed has the same inputs.
    repeated: tokens of an epoch's samples per token of the store, at 512: a random second part is
        shown again.
    per_sentence: every sentence makes a sample; else a sample is about as long as the input.
    """

    pairs: bool = False
    repeated: float = 1.0
    per_sentence: bool = False


FORMATS = {
    "segment-pair": FormatFacts(pairs=True, repeated=1.28),
    "sentence-pair": FormatFacts(pairs=True, repeated=2.15, per_sentence=True),
    "full-sentences": FormatFacts(),
    "doc-sentences": FormatFacts(),
    "blocks": FormatFacts(),
}
