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
        **slots_of("pretrain"),
    params:
        recipe=recipe_of("pretrain"),
        command=stage_command("pretrain"),
    shell:
        shell_line(
            launcher_of("pretrain")
            + " {params.command} --recipe {params.recipe:q} --manifest {output.manifest:q} "
            "--log {log:q} --label {wildcards.cell:q} seed-{wildcards.seed:q} "
            "${{SLURM_JOB_ID:+--time-budget {resources.runtime}}}",
            execution_of("pretrain"),
        )


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
        command=stage_command("selection"),
    shell:
        "python -m {params.command} --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "--log {log:q}"


use rule sentences as features with:
    input:
        unpack(inputs_of("features")),
    output:
        manifest=MANIFESTS["features"],
    log:
        log_of("features"),
    params:
        recipe=recipe_of("features"),
        command=stage_command("features"),


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
        **slots_of("finetune"),
    params:
        recipe=recipe_of("finetune"),
        command=stage_command("finetune"),
    shell:
        shell_line(
            launcher_of("finetune")
            + " {params.command} --recipe {params.recipe:q} --manifest {output.manifest:q} "
            "--log {log:q} --label {wildcards.cell:q} seed-{wildcards.seed:q} {wildcards.tuning:q} "
            "${{SLURM_JOB_ID:+--time-budget {resources.runtime}}}",
            execution_of("finetune"),
        )


# One process on one device, as a fine-tuning is computed.
rule minimal_pairs:
    input:
        unpack(inputs_of("minimal_pairs")),
    output:
        manifest=MANIFESTS["minimal_pairs"],
    log:
        log_of("minimal_pairs"),
    conda:
        "../environment.yml"
    threads: STUDY.config.execution.finetune.threads
    resources:
        **request_alone("finetune"),
        **slots_of("minimal_pairs", 1),
    params:
        recipe=recipe_of("minimal_pairs"),
        command=stage_command("minimal_pairs"),
    shell:
        shell_line(
            launcher_of("finetune", 1)
            + " {params.command} --recipe {params.recipe:q} --manifest {output.manifest:q} "
            "--log {log:q} --label {wildcards.cell:q} seed-{wildcards.seed:q} {wildcards.pairs:q}",
            PLACES,
            execution_of("finetune"),
        )


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
        **request_alone("pretrain"),
        **slots_of("throughput", 1),
    params:
        recipe=recipe_of("throughput"),
    shell:
        launcher_of("pretrain", 1)
        + " model.stages.throughput --recipe {params.recipe:q} --manifest "
        "{output.manifest:q} --log {log:q}"
