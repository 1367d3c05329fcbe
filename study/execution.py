"""How jobs are computed: how fast, never what. Changing anything here re-runs nothing."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from study.fields import AboveZero, AtLeastZero, Count, Maybe, NonEmpty, Positive, Section, doc
from study.trackers import Tracker

MOST_CORES = 1024
Cores = Annotated[int, Field(gt=0, le=MOST_CORES)]


def _once(names: list[Tracker]) -> list[Tracker]:
    if len(set(names)) < len(names):
        raise ValueError("the same tracker twice")
    return names


class Resources(Section):
    """What a job asks of a cluster: memory in MB, wall-clock in minutes, GPUs, nodes, partition."""

    mem_mb: Positive = doc("memory of a node in MB")
    runtime: Positive = doc("wall-clock in minutes")
    gpu: Count = doc("GPUs, of all nodes", 0)
    nodes: Positive = doc("machines that share the processes and GPUs evenly", 1)
    slurm_partition: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,-]*$")] | None = doc(
        "partition of a SLURM cluster", None
    )


class TextExecution(Section):
    """Execution of the stages before training: processor threads and what a cluster is asked."""

    threads: Cores = doc("processor threads of a job")
    resources: Resources = doc("what a job asks of a cluster")

    @property
    def cores(self) -> int:
        """Processor cores of a job."""
        return self.threads


class MeasuredExecution(Section):
    """What decides how fast a training is: a measured speed holds for it."""

    device: Literal["cpu", "cuda"] = doc("where tensors lie")
    precision: Literal["fp32", "bf16", "fp16"] = doc("of matrix products; weights stay fp32")
    mode: Literal["exact", "fast"] = doc(
        "exact: the same bytes, however it is interrupted; fast: up to the last bits"
    )
    compile: bool = doc("whether torch.compile makes the network's code")
    micro_batch_tokens: Positive = doc("most tokens that go through the network at once")
    threads: Cores = doc("processor threads of a process")

    def measured(self) -> dict:
        """These fields alone, as the recipe of a measurement holds them."""
        return self.model_dump(include=set(MeasuredExecution.model_fields))


class TrainingExecution(MeasuredExecution):
    """What a training is told by `--execution`."""

    workers: Annotated[int, Field(ge=0, le=MOST_CORES)] = doc("processes of a rank that read ahead")
    checkpoint_minutes: AtLeastZero = doc("between two checkpoints; 0: after every update")
    tensorboard: bool = doc("whether logs are written for TensorBoard too")
    trackers: Annotated[list[Tracker], AfterValidator(_once)] = doc(
        "experiment trackers to report to, where they are installed", []
    )

    @model_validator(mode="after")
    def compiles_on_a_gpu(self):
        """On a CPU the compiler takes a minute and gains nothing."""
        if self.compile and self.device == "cpu":
            raise ValueError("compile true needs device cuda")
        return self


class Execution(TrainingExecution):
    """How fast, never what: changing anything here re-runs nothing."""

    processes: Cores = doc("ranks of one job, one per GPU")
    resources: Resources = doc("what a job asks of a cluster")

    @model_validator(mode="after")
    def nodes_divide(self):
        """Every node has as many processes and GPUs as the others."""
        nodes, shared = self.resources.nodes, {"processes": self.processes}
        for name, number in (shared | {"resources.gpu": self.resources.gpu}).items():
            if number % nodes:
                raise ValueError(f"{name} {number} is not a multiple of resources.nodes {nodes}")
        return self

    @property
    def cores(self) -> int:
        """Processor cores of a job: the threads of all its processes."""
        return self.threads * self.processes


class StageExecutions(Section):
    """The execution of each stage."""

    text: TextExecution = doc("all stages before training")
    pretrain: Execution = doc("pre-trainings")
    finetune: Execution = doc("fine-tunings")


class Budget(Section):
    """What a scale is made for: these tables in so many hours, on so many cores or GPUs."""

    tables: NonEmpty[str] = doc("that are to fit, each job once")
    hours: AboveZero = doc("wall-clock")
    cores: Maybe[Cores] = doc("processor cores, where trainings run on the CPU", None)
    gpus: Maybe[Cores] = doc("GPUs, where they run on GPUs", None)


class Hardware(Section):
    """What plans assume of one device: the useful FLOP/s it reaches, and a job's start-up."""

    name: str = doc("what the plan calls it")
    flops_per_second: AboveZero = doc("useful FLOP/s that one device reaches")
    seconds_per_job: AtLeastZero = doc("a job's start-up", 0)
