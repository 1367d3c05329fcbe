"""How jobs are computed: how fast, never what. Changing anything here re-runs nothing."""

from typing import Annotated, Literal

from pydantic import Field

from study.fields import AboveZero, Count, Positive, Section

MOST_CORES = 1024
Cores = Annotated[int, Field(gt=0, le=MOST_CORES)]


class Resources(Section):
    """What a job asks of a cluster: memory in MB, wall-clock in minutes, GPUs, partition."""

    mem_mb: Positive
    runtime: Positive
    gpu: Count = 0
    slurm_partition: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,-]*$")] | None = None


class TextExecution(Section):
    """Execution of the stages before training: processor threads and what a cluster is asked."""

    threads: Cores
    resources: Resources

    @property
    def cores(self) -> int:
        """Processor cores of a job."""
        return self.threads


class Execution(Section):
    """How fast, never what: changing anything here re-runs nothing."""

    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16", "fp16"]
    mode: Literal["exact", "fast"]
    compile: bool
    micro_batch_tokens: Positive
    threads: Cores
    processes: Cores
    workers: Annotated[int, Field(ge=0, le=MOST_CORES)]
    checkpoint_minutes: AboveZero
    tensorboard: bool
    resources: Resources

    @property
    def cores(self) -> int:
        """Processor cores of a job: the threads of all its processes."""
        return self.threads * self.processes


class ExecutionPlan(Section):
    """The execution of each stage."""

    text: TextExecution
    pretrain: Execution
    finetune: Execution


class Hardware(Section):
    """What plans assume of one device: the useful FLOP/s it reaches, and a job's start-up."""

    name: str
    flops_per_second: Annotated[float, Field(gt=0)]
    seconds_per_job: Annotated[float, Field(ge=0)] = 0
