"""The stages: where their runs lie, and the versions that guard them against changes of code.

No key holds the code. When to raise which version: a change that alters what a stage writes, for
equal inputs, raises the number of that stage; it and what follows run again everywhere. If only
some of its recipes are altered, they get a line of their own, with a number that the stage never
had, and the method of `study.jobs.Jobs` that makes the recipe says which they are: the others keep
their keys. A change of language/ raises the names that it writes anew in GENERATOR_VERSIONS, one of
what the analysis writes the versions of these results in `study.results`. tests/golden/ holds
losses, scores and keys, and tells when something was altered.
"""

# Below `runs/<scale>/`. Stores, samples and features are named after what is in them, for cells may
# share them; a fine-tuning after its task and its setting in a grid.
PATHS = {
    "source": "sources/{source}",
    "weights": "weights/{weights}",
    "sentences": "sentences/{corpus}/shard-{shard}",
    "vocabulary": "vocabularies/{vocabulary}",
    "tokens": "tokens/{vocabulary}/{corpus}/shard-{shard}",
    "store": "stores/{store}",
    "samples": "samples/{store}/{samples}",
    "pretrain": "pretrain/{cell}/seed-{seed}",
    "selection": "selections/{family}",
    "features": "features/{task}/{features}",
    "finetune": "finetune/{cell}/seed-{seed}/{tuning}",
    "minimal_pairs": "minimal_pairs/{cell}/seed-{seed}/{pairs}",
    "throughput": "throughput/{cell}",
}
VERSIONS = {
    "source": 1,
    "weights": 1,
    "sentences": 1,
    "vocabulary": 1,
    "tokens": 1,
    "store": 2,
    "samples": 1,
    "pair samples": 2,  # the same stage, in the pair formats
    "pretrain": 4,
    "selection": 1,
    "features": 1,  # plus what `study.kinds.KIND_FACTS` adds
    "finetune": 3,
    "minimal_pairs": 1,
    "throughput": 2,
}
# The texts that language/ writes for a name, a seed and sizes; names that are not listed: FIRST.
GENERATOR_VERSIONS = {
    "cola": 4,
    "mrpc": 4,
    "qnli": 5,
    "qqp": 4,
    "rte": 4,
    "stsb": 4,
    "wnli": 5,
    "wsc": 4,
}
FIRST = 3


def generator_version(name: str) -> int:
    """Version of the texts that language/ writes under `name`, a corpus or task."""
    return GENERATOR_VERSIONS.get(name, FIRST)
