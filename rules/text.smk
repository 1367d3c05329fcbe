# documents -> sentences -> vocabulary -> token store -> samples
SOURCE = f"{STUDY.root}/sources/{{source}}/{{key}}.json"
SENTENCES = f"{STUDY.root}/sentences/{{corpus}}/shard-{{shard}}/{{key}}.json"
VOCABULARY = f"{STUDY.root}/vocabularies/{{vocabulary}}/{{key}}.json"
TOKENS = f"{STUDY.root}/tokens/{{vocabulary}}/{{corpus}}/shard-{{shard}}/{{key}}.json"
STORE = f"{STUDY.root}/stores/{{store}}/{{key}}.json"
SAMPLES = f"{STUDY.root}/samples/{{store}}/{{samples}}/{{key}}.json"


localrules:
    fetch_source,


rule fetch_source:
    output:
        manifest=SOURCE,
    log:
        f"{LOGS}/sources/{{source}}/{{key}}.log",
    conda:
        "../environment.yml"
    params:
        recipe=recipe_of(SOURCE),
    shell:
        f"python -m model.fetch --recipe {{params.recipe:q}} --manifest "
        f"{{output.manifest:q}} {PLACES} {NEEDED} --log {{log:q}}"


rule split_sentences:
    input:
        unpack(inputs_of(SENTENCES)),
    output:
        manifest=SENTENCES,
    log:
        f"{LOGS}/sentences/{{corpus}}/shard-{{shard}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of(SENTENCES),
    shell:
        "python -m model.sentences --recipe {params.recipe:q} --manifest {output.manifest:q} "
        f"--source {{input.source:q}} {PLACES} --log {{log:q}}"


rule train_vocabulary:
    input:
        unpack(inputs_of(VOCABULARY)),
    output:
        manifest=VOCABULARY,
    log:
        f"{LOGS}/vocabularies/{{vocabulary}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of(VOCABULARY),
    shell:
        "python -m model.vocabulary --recipe {params.recipe:q} --manifest {output.manifest:q} "
        f"--sentences {{input.sentences:q}} {PLACES} --log {{log:q}}"


rule tokenize_shard:
    input:
        unpack(inputs_of(TOKENS)),
    output:
        manifest=TOKENS,
    log:
        f"{LOGS}/tokens/{{vocabulary}}/{{corpus}}/shard-{{shard}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of(TOKENS),
    shell:
        "python -m model.tokens --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "--sentences {input.sentences:q} --vocabulary {input.vocabulary:q} --log {log:q}"


rule build_store:
    input:
        unpack(inputs_of(STORE)),
    output:
        manifest=STORE,
    log:
        f"{LOGS}/stores/{{store}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of(STORE),
    shell:
        "python -m model.store --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "--tokens {input.tokens:q} --log {log:q}"


rule build_samples:
    input:
        unpack(inputs_of(SAMPLES)),
    output:
        manifest=SAMPLES,
    log:
        f"{LOGS}/samples/{{store}}/{{samples}}/{{key}}.log",
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of(SAMPLES),
    shell:
        "python -m model.build_samples --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "--store {input.store:q} --log {log:q}"
