# Which jobs of trainings run at once on the GPUs of a machine, and how they are started.
import math

from analysis.costs import memory_mb
from study.devices import SLOTS, VISIBLE, visible_devices

# Stages of which several jobs may share a GPU; the others have enough to do for a whole one.
SHARING = ("finetune", "minimal_pairs")


def devices_here():
    """The GPUs that this call's own jobs may use; none where it has no use for them or submits."""
    trainings = (STUDY.config.execution.pretrain, STUDY.config.execution.finetune)
    on_gpus = any(execution.device == "cuda" for execution in trainings)
    if on_gpus and workflow.is_main_process and workflow.local_exec:
        with suppress(StudyError):  # check_devices says what is wrong, once jobs are to run
            return visible_devices()
    return []


# As many jobs at once as there are slots on the GPUs of this machine (model.launch says which).
DEVICES = devices_here()
if DEVICES and "gpu_slots" not in workflow.resource_settings.resources:
    workflow.register_resource("gpu_slots", SLOTS * len(DEVICES))


def check_devices():
    """StudyError where jobs are to run here on more GPUs than this call may use."""
    jobs = list(workflow.dag.needrun_jobs())
    asked = {job.rule.name for job in jobs if job.resources.get("gpu_slots") is not None}
    if not asked or not workflow.local_exec:
        return
    there = len(visible_devices())
    seen = f"{VISIBLE}={os.environ[VISIBLE]}" if VISIBLE in os.environ else "nvidia-smi shows these"
    if not there:
        raise StudyError(
            f"scale {STUDY.scale} trains on GPUs, but none is visible here"
            + (f" ({seen})" if VISIBLE in os.environ else "")
            + "; one with execution: {like: cpu} does without"
        )
    for stage in sorted(asked & {"pretrain", "finetune"}):
        processes = getattr(STUDY.config.execution, stage).processes
        if processes > there:
            raise StudyError(
                f"scale {STUDY.scale}: execution.{stage}.processes: {processes} GPUs for one job, "
                f"but {there} are visible here ({seen})"
            )


def launcher_of(stage, processes=None):
    """`python -m`, or our launcher for several processes, and for slots on GPUs."""
    execution = getattr(STUDY.config.execution, stage)
    nodes = 1 if processes else execution.resources.nodes
    processes = processes or execution.processes
    options = " --gpu {resources.gpu_memory}" if execution.device == "cuda" else ""
    options += f" --nodes {nodes}" if nodes > 1 else ""
    if processes == 1 and not options:
        return "python -m"
    return f"python -m model.launch{options} {processes}"


def slots_of(stage, processes=None):
    """On GPUs of this machine: what a job's processes need of one, and slots in all."""
    execution = getattr(STUDY.config.execution, "finetune" if stage in SHARING else "pretrain")
    if execution.device != "cuda":
        return {}

    def memory(wildcards):
        return math.ceil(memory_mb(STUDY, job_at(stage, wildcards))) if stage in SHARING else 0

    def slots(wildcards):
        each = max((gpu.slots_needed(memory(wildcards)) for gpu in DEVICES), default=0)
        return each * (processes or execution.processes)

    return {"gpu_memory": memory, "gpu_slots": slots}
