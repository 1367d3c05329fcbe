"""Which tensors of a file that transformers wrote are which of ours; needs no torch.

In: the shapes of a model.safetensors of BERT's or RoBERTa's layout, with any head, and the sizes in
its config.json. Out: under each of our names the tensors that make it up, one below the other. A
head that is not there is left out, heads of other tasks are left behind; anything else that is
missing, of another shape or too much is an error that names the tensor.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from study.errors import StudyError, first_line
from study.starts import Sizes

Shapes = Mapping[str, tuple[int, ...]]
# Ours -> transformers'; each has a weight and a bias.
LAYER_PARTS = {
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "ffn_in": "intermediate.dense",
    "ffn_out": "output.dense",
    "ffn_norm": "output.LayerNorm",
}
QKV = ("query", "key", "value")
TABLES = {
    "encoder.words": "word_embeddings",
    "encoder.positions": "position_embeddings",
    "encoder.segments": "token_type_embeddings",
}
BERT_MASKED = {
    "mlm.dense": "cls.predictions.transform.dense",
    "mlm.norm": "cls.predictions.transform.LayerNorm",
}
BERT_NEXT = {"nsp.pooler": "pooler.dense", "nsp.output": "cls.seq_relationship"}
ROBERTA_MASKED = {"mlm.dense": "lm_head.dense", "mlm.norm": "lm_head.layer_norm"}
# The parts of a network that a start may lack, as a cell's `start.fresh` names them.
PARTS = {"mlm": "mlm.", "nsp": "nsp.", "segments": "encoder.segments."}
ROOTS = ("bert.", "roberta.")
OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}  # of LayerNorm, in checkpoints of 2018
# Of the encoder, but no weights of ours: counters, and what reads the first token for other heads.
BESIDES = ("embeddings.position_ids", "embeddings.token_type_ids")


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes in a file by tensor; StudyError when it is no whole safetensors file."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError) as error:
        reason = first_line(error)
        raise StudyError(f"{path}: not a readable safetensors file ({reason})") from None


class Layout:
    """The tensors of a file by our names, as `names`: for each the file's own, in order.

    Raises StudyError naming `path` and the tensor that does not fit.
    """

    def __init__(self, shapes: Shapes, sizes: Sizes, path: Path):
        self.shapes, self.sizes, self.path = shapes, sizes, path
        self.root = next((root for root in ROOTS if any(n.startswith(root) for n in shapes)), "")
        self.known = {self._today(name): name for name in shapes}
        self.names: dict[str, list[str]] = {}
        for ours, theirs, shape in self._expected():
            self.names[ours] = [self._find(name, shape) for name in theirs]
        taken = {name for names in self.names.values() for name in names}
        for name, written in self.known.items():
            inner = name.startswith(("embeddings.", "encoder.")) and name not in BESIDES
            if inner and written not in taken:
                raise self._error(written, "not part of this network")

    @property
    def segments(self) -> int:
        """Rows of the table of segments."""
        return self.shapes[self.names["encoder.segments.weight"][0]][0]

    def lacking(self, nsp: bool, segments: bool) -> dict[str, str]:
        """The parts of a network with these that are not here, and a tensor of each, theirs."""
        lacking = {}
        if "mlm.bias" not in self.names:
            lacking["mlm"] = "lm_head.dense.weight or cls.predictions.transform.dense.weight"
        if nsp and "nsp.output.weight" not in self.names:
            lacking["nsp"] = "cls.seq_relationship.weight"
        if segments and self.segments != 2:
            lacking["segments"] = f"{self.root}embeddings.token_type_embeddings.weight of 2 rows"
        return lacking

    def tied(self) -> Iterator[tuple[str, str]]:
        """Tensors that a decoder was saved with, each with the one that it must be equal to."""
        words = self.names["encoder.words.weight"][0]
        for head in ("lm_head", "cls.predictions"):
            bias = f"{head}.bias"
            for name, twin in ((f"{head}.decoder.weight", words), (f"{head}.decoder.bias", bias)):
                if name in self.shapes and twin in self.shapes:
                    yield name, twin

    def _today(self, name: str) -> str:
        """A tensor's name without the encoder's root, and as LayerNorm's are called today."""
        name = name.removeprefix(self.root)
        for old, new in OLD_NAMES.items():
            name = name.removesuffix(old) + new if name.endswith(old) else name
        return name

    def _expected(self) -> Iterator[tuple[str, list[str], tuple[int | None, ...]]]:
        """Our names, theirs, and the shape of each of those; of None any size will do."""
        sizes, hidden = self.sizes, self.sizes.hidden
        square = {"weight": (hidden, hidden), "bias": (hidden,)}
        norm = {"weight": (hidden,), "bias": (hidden,)}
        shapes = {
            "ffn_in": {"weight": (sizes.ffn, hidden), "bias": (sizes.ffn,)},
            "ffn_out": {"weight": (hidden, sizes.ffn), "bias": (hidden,)},
            "nsp.output": {"weight": (2, hidden), "bias": (2,)},
        }
        rows = (sizes.entries, sizes.first_position + sizes.positions, None)
        for (ours, theirs), count in zip(TABLES.items(), rows, strict=True):
            yield f"{ours}.weight", [f"embeddings.{theirs}.weight"], (count, hidden)
        pairs = {"encoder.norm": "embeddings.LayerNorm", **self._heads()}
        for layer in range(sizes.layers):
            own, theirs = f"encoder.layers.{layer}", f"encoder.layer.{layer}"
            pairs |= {f"{own}.{part}": f"{theirs}.{name}" for part, name in LAYER_PARTS.items()}
            for kind, shape in square.items():
                names = [f"{theirs}.attention.self.{name}.{kind}" for name in QKV]
                yield f"{own}.attention.qkv.{kind}", names, shape
        for ours, theirs in pairs.items():
            part = ours if ours in shapes else ours.rpartition(".")[2]
            for kind, shape in shapes.get(part, norm if part.endswith("norm") else square).items():
                yield f"{ours}.{kind}", [f"{theirs}.{kind}"], shape
        if "mlm.dense" in pairs:
            yield "mlm.bias", [self._mlm_bias()], (sizes.entries,)

    def _heads(self) -> dict[str, str]:
        """The heads of pre-training that are there."""
        roberta = any(name.startswith("lm_head.") for name in self.known)
        bert = any(name.startswith("cls.predictions.") for name in self.known)
        heads = ROBERTA_MASKED if roberta else BERT_MASKED if bert else {}
        following = any(name.startswith("cls.seq_relationship.") for name in self.known)
        return {**heads, **(BERT_NEXT if following else {})}

    def _mlm_bias(self) -> str:
        head = "lm_head" if "lm_head.dense.weight" in self.known else "cls.predictions"
        own, decoder = f"{head}.bias", f"{head}.decoder.bias"
        return decoder if own not in self.known and decoder in self.known else own

    def _find(self, name: str, shape: tuple[int | None, ...]) -> str:
        """The file's name of a tensor, whose shape must be this one."""
        if name not in self.known:
            inner = name.startswith(("embeddings.", "encoder.", "pooler."))
            raise self._error(f"{self.root if inner else ''}{name}", "missing")
        written = self.known[name]
        found = tuple(self.shapes[written])
        whole = tuple(
            one if size is None else size for size, one in zip(shape, found, strict=False)
        )
        if found != whole or len(found) != len(shape):
            raise self._error(written, f"expected shape {whole} by config.json, found {found}")
        return written

    def _error(self, name: str, problem: str) -> StudyError:
        return StudyError(f"{self.path}: tensor {name}: {problem}")
