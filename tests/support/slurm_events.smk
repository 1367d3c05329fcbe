# Trainings (slurm_training.py) for the tests of what happens to a job of the cluster: `limit` has a
# minute, two are alone on their nodes, one is stopped more than once.

NODES = {"preempted": "node2", "failed": "node3"}


localrules:
    all,


rule all:
    input:
        expand("{name}.json", name=config["names"].split("+")),


rule train:
    output:
        "{name}.json",
    params:
        starts=lambda wildcards: 4 if wildcards.name == "cancelled" else 2,
    resources:
        mem_mb=500,
        runtime=lambda wildcards: 1 if wildcards.name == "limit" else 600,
        slurm_extra=lambda wildcards: f"--nodelist={NODES.get(wildcards.name, 'node1')}",
    shell:
        "python slurm_training.py {output} --starts {params.starts} ${{SLURM_JOB_ID:+--time-budget {resources.runtime}}}"
