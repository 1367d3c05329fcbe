# A toy study for the SLURM tests: two parts, a "training" on the GPU that fails once and goes on
# from its own checkpoint, and a table that is made where snakemake runs.


localrules:
    table,


rule table:
    input:
        expand("part_{part}.txt", part=["a", "b"]),
        "trained.txt",
    output:
        "table.csv",
    shell:
        "cat {input} > {output}"


rule part:
    output:
        "part_{part}.txt",
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "echo {wildcards.part} > {output}"


rule train:
    output:
        "trained.txt",
    threads: 2
    resources:
        gpu=1,
        nodes=1,
        mem_mb=32000,
        runtime=600,
        slurm_partition="main",
    shell:
        "mkdir -p run; echo step >> run/steps; steps=$(wc -l < run/steps); [ $steps -ge 2 ]"
        " && echo step $steps, ${{SLURM_GPUS_ON_NODE}} GPU > {output}"
