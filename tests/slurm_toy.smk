# A toy study for the SLURM tests: parts that run side by side, a "training" on the GPU that fails
# once and goes on from its own checkpoint, a table made on the head node.


localrules:
    table,


rule table:
    input:
        "trained.txt",
    output:
        "table.csv",
    shell:
        "cp {input} {output}"


rule train:
    input:
        expand("part_{part}.txt", part=["a", "b"]),
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
        "mkdir -p run && echo step >> run/steps && [ $(wc -l < run/steps) -ge 2 ]"
        " && cat {input} run/steps > {output}"


rule part:
    output:
        "part_{part}.txt",
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "echo {wildcards.part} > {output}"
