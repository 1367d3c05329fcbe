# samples -> pre-trained model -> fine-tuned models' scores
PRETRAIN = f"{STUDY.root}/pretrain/{{cell}}/seed-{{seed}}/{{key}}.json"
SELECTION = f"{STUDY.root}/selections/{{family}}/{{key}}.json"
FEATURES = f"{STUDY.root}/features/{{task}}/{{variant}}/{{key}}.json"
THROUGHPUT = f"{STUDY.root}/throughput/{{cell}}/{{key}}.json"
FINETUNE = f"{STUDY.root}/finetune/{{cell}}/seed-{{seed}}/{{task}}/{{key}}.json"


localrules:
    select_learning_rate,


rule pretrain:
    input:
        unpack(inputs_of(PRETRAIN)),
    output:
        manifest=PRETRAIN,
    log:
        f"{LOGS}/pretrain/{{cell}}/seed-{{seed}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: cores_of("pretrain")
    resources:
        **request_of("pretrain"),
    params:
        recipe=recipe_of(PRETRAIN),
    shell:
        f"{launcher_of('pretrain')} model.pretrain --recipe {{params.recipe:q}} --manifest "
        f"{{output.manifest:q}} --store {{input.store:q}} --samples {{input.samples:q}} "
        f"--vocabulary {{input.vocabulary:q}} {execution_of('pretrain')} {TIME_BUDGET} "
        f"--label {{wildcards.cell:q}} seed-{{wildcards.seed:q}} --log {{log:q}}"


rule select_learning_rate:
    input:
        unpack(inputs_of(SELECTION)),
    output:
        manifest=SELECTION,
    log:
        f"{LOGS}/selections/{{family}}/{{key}}.log",
    conda:
        "../environment.yml"
    params:
        recipe=recipe_of(SELECTION),
    shell:
        "python -m analysis.selection --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "--pretrain {input.pretrain:q} --log {log:q}"


rule build_features:
    input:
        unpack(inputs_of(FEATURES)),
    output:
        manifest=FEATURES,
    log:
        f"{LOGS}/features/{{task}}/{{variant}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of(FEATURES),
    shell:
        "python -m model.features --recipe {params.recipe:q} --manifest {output.manifest:q} "
        f"--source {{input.source:q}} --vocabulary {{input.vocabulary:q}} {PLACES} --log {{log:q}}"


rule finetune:
    input:
        unpack(inputs_of(FINETUNE)),
    output:
        manifest=FINETUNE,
    log:
        f"{LOGS}/finetune/{{cell}}/seed-{{seed}}/{{task}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: cores_of("finetune")
    resources:
        **request_of("finetune"),
    params:
        recipe=recipe_of(FINETUNE),
        init=lambda wildcards, input: (
            "--init " + " ".join(map(shlex.quote, input.init)) if "init" in input.keys() else ""
        ),
    shell:
        f"{launcher_of('finetune')} model.finetune --recipe {{params.recipe:q}} --manifest "
        f"{{output.manifest:q}} --pretrain {{input.pretrain:q}} --features "
        f"{{input.features:q}} --vocabulary {{input.vocabulary:q}} {{params.init}} "
        f"{execution_of('finetune')} {TIME_BUDGET} --label {{wildcards.cell:q}} "
        f"seed-{{wildcards.seed:q}} {{wildcards.task:q}} --log {{log:q}}"


# For results/plan.csv: one process on one device.
rule measure_throughput:
    output:
        manifest=THROUGHPUT,
    log:
        f"{LOGS}/throughput/{{cell}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: STUDY.config.execution.pretrain.threads
    resources:
        **(request_of("pretrain") | {"gpu": min(1, request_of("pretrain")["gpu"])}),
    params:
        recipe=recipe_of(THROUGHPUT),
    shell:
        "python -m model.throughput --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "--log {log:q}"
