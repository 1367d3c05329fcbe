# samples -> pre-trained model -> fine-tuned models' scores


localrules:
    selection,


# On a cluster a training saves its state and stops before the job's time is up.
rule pretrain:
    input:
        unpack(inputs_of("pretrain")),
    output:
        manifest=MANIFESTS["pretrain"],
    log:
        log_of("pretrain"),
    conda:
        "../environment.yml"
    threads: cores_of("pretrain")
    resources:
        **request_of("pretrain"),
    params:
        recipe=recipe_of("pretrain"),
        inputs=input_options,
    shell:
        "{LAUNCH[pretrain]} model.stages.pretrain --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} {params.inputs} {EXECUTION[pretrain]} "
        "${{SLURM_JOB_ID:+--time-budget {resources.runtime}}} "
        "--label {wildcards.cell:q} seed-{wildcards.seed:q} --log {log:q}"


rule selection:
    input:
        unpack(inputs_of("selection")),
    output:
        manifest=MANIFESTS["selection"],
    log:
        log_of("selection"),
    conda:
        "../environment.yml"
    params:
        recipe=recipe_of("selection"),
        inputs=input_options,
    shell:
        "python -m model.stages.selection --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} {params.inputs} --log {log:q}"


use rule sentences as features with:
    input:
        unpack(inputs_of("features")),
    output:
        manifest=MANIFESTS["features"],
    log:
        log_of("features"),
    params:
        recipe=recipe_of("features"),
        inputs=input_options,


rule finetune:
    input:
        unpack(inputs_of("finetune")),
    output:
        manifest=MANIFESTS["finetune"],
    log:
        log_of("finetune"),
    conda:
        "../environment.yml"
    threads: cores_of("finetune")
    resources:
        **request_of("finetune"),
    params:
        recipe=recipe_of("finetune"),
        inputs=input_options,
    shell:
        "{LAUNCH[finetune]} model.stages.finetune --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} {params.inputs} {EXECUTION[finetune]} "
        "${{SLURM_JOB_ID:+--time-budget {resources.runtime}}} "
        "--label {wildcards.cell:q} seed-{wildcards.seed:q} {wildcards.tuning:q} --log {log:q}"


# For results/plan.csv: one process on one device.
rule throughput:
    output:
        manifest=MANIFESTS["throughput"],
    log:
        log_of("throughput"),
    conda:
        "../environment.yml"
    threads: STUDY.config.execution.pretrain.threads
    resources:
        **(request_of("pretrain") | {"gpu": min(1, request_of("pretrain")["gpu"])}),
    params:
        recipe=recipe_of("throughput"),
    shell:
        "python -m model.stages.throughput --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} --log {log:q}"
