# Trainings (slurm_training.py) for the tests of what happens to a job of the cluster: `limit` has a
# minute, `failed` and the two that share a job a node of their own, `cancelled` is stopped often.

NODES = {"failed": "node3", "preempted": "node2"}


# As in rules/common.smk.
def go_on_after_failures(wildcards):
    if not workflow.is_main_process:
        workflow.execution_settings.keep_going = True
    return []


localrules:
    all,


rule all:
    input:
        expand("{name}.json", name=config["names"].split("+")),


rule train:
    output:
        "{name}.json",
    wildcard_constraints:
        name="[a-z]+",
    resources:
        mem_mb=500,
        runtime=lambda wildcards: 1 if wildcards.name == "limit" else 600,
        slurm_extra=lambda wildcards: f"--nodelist={NODES.get(wildcards.name, 'node1')}",
    params:
        again=lambda wildcards: 3 if wildcards.name == "cancelled" else 1,
    shell:
        "python slurm_training.py {output} --again {params.again} "
        "${{SLURM_JOB_ID:+--time-budget {resources.runtime}}}"


rule finetune:
    input:
        go_on_after_failures,
    output:
        "{cell}.{seed}.{task}.json",
    resources:
        mem_mb=500,
        runtime=600,
        slurm_extra=lambda wildcards: f"--nodelist={NODES[wildcards.cell]}",
    shell:
        "python slurm_training.py {output} --again 1"
