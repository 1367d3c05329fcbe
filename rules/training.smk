# samples -> pre-trained model -> fine-tuned models' scores
PRETRAIN = f"{STUDY.root}/pretrain/{{cell}}/seed-{{seed}}/{{key}}.json"
SELECTION = f"{STUDY.root}/selections/{{family}}/{{key}}.json"
FEATURES = f"{STUDY.root}/features/{{task}}/{{variant}}/{{key}}.json"
THROUGHPUT = f"{STUDY.root}/throughput/{{cell}}/{{key}}.json"
FINETUNE = f"{STUDY.root}/finetune/{{cell}}/seed-{{seed}}/{{task}}/{{key}}.json"


localrules:
    selection,


# On a cluster a training saves its state and stops before the job's time is up.
rule pretrain:
    input:
        unpack(inputs_of(PRETRAIN)),
    output:
        manifest=PRETRAIN,
    log:
        log_of(PRETRAIN),
    conda:
        "../environment.yml"
    threads: cores_of("pretrain")
    resources:
        **request_of("pretrain"),
    params:
        recipe=recipe_of(PRETRAIN),
        inputs=input_options,
    shell:
        "{LAUNCH[pretrain]} model.stages.pretrain --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} {params.inputs} {EXECUTION[pretrain]} "
        "${{SLURM_JOB_ID:+--time-budget {resources.runtime}}} "
        "--label {wildcards.cell:q} seed-{wildcards.seed:q} --log {log:q}"


rule selection:
    input:
        unpack(inputs_of(SELECTION)),
    output:
        manifest=SELECTION,
    log:
        log_of(SELECTION),
    conda:
        "../environment.yml"
    params:
        recipe=recipe_of(SELECTION),
        inputs=input_options,
    shell:
        "python -m model.stages.selection --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} {params.inputs} --log {log:q}"


use rule sentences as features with:
    input:
        unpack(inputs_of(FEATURES)),
    output:
        manifest=FEATURES,
    log:
        log_of(FEATURES),
    params:
        recipe=recipe_of(FEATURES),
        inputs=input_options,


rule finetune:
    input:
        unpack(inputs_of(FINETUNE)),
    output:
        manifest=FINETUNE,
    log:
        log_of(FINETUNE),
    conda:
        "../environment.yml"
    threads: cores_of("finetune")
    resources:
        **request_of("finetune"),
    params:
        recipe=recipe_of(FINETUNE),
        inputs=input_options,
    shell:
        "{LAUNCH[finetune]} model.stages.finetune --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} {params.inputs} {EXECUTION[finetune]} "
        "${{SLURM_JOB_ID:+--time-budget {resources.runtime}}} "
        "--label {wildcards.cell:q} seed-{wildcards.seed:q} {wildcards.task:q} --log {log:q}"


# For results/plan.csv: one process on one device.
rule throughput:
    output:
        manifest=THROUGHPUT,
    log:
        log_of(THROUGHPUT),
    conda:
        "../environment.yml"
    threads: STUDY.config.execution.pretrain.threads
    resources:
        **(request_of("pretrain") | {"gpu": min(1, request_of("pretrain")["gpu"])}),
    params:
        recipe=recipe_of(THROUGHPUT),
    shell:
        "python -m model.stages.throughput --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} --log {log:q}"
