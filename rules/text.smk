# documents -> sentences -> vocabulary -> token store -> samples
SOURCE = f"{STUDY.root}/sources/{{source}}/{{key}}.json"
SENTENCES = f"{STUDY.root}/sentences/{{corpus}}/shard-{{shard}}/{{key}}.json"
VOCABULARY = f"{STUDY.root}/vocabularies/{{vocabulary}}/{{key}}.json"
TOKENS = f"{STUDY.root}/tokens/{{vocabulary}}/{{corpus}}/shard-{{shard}}/{{key}}.json"
STORE = f"{STUDY.root}/stores/{{store}}/{{key}}.json"
SAMPLES = f"{STUDY.root}/samples/{{store}}/{{samples}}/{{key}}.json"


localrules:
    source,


rule source:
    output:
        manifest=SOURCE,
    log:
        log_of(SOURCE),
    conda:
        "../environment.yml"
    params:
        recipe=recipe_of(SOURCE),
    shell:
        "python -m model.stages.source --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "{PLACES} {NEEDED} --log {log:q}"


rule sentences:
    input:
        unpack(inputs_of(SENTENCES)),
    output:
        manifest=SENTENCES,
    log:
        log_of(SENTENCES),
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of(SENTENCES),
        inputs=input_options,
    shell:
        "python -m model.stages.{rule} --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "{params.inputs} {PLACES} --log {log:q}"


use rule sentences as vocabulary with:
    input:
        unpack(inputs_of(VOCABULARY)),
    output:
        manifest=VOCABULARY,
    log:
        log_of(VOCABULARY),
    params:
        recipe=recipe_of(VOCABULARY),
        inputs=input_options,


rule tokens:
    input:
        unpack(inputs_of(TOKENS)),
    output:
        manifest=TOKENS,
    log:
        log_of(TOKENS),
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of(TOKENS),
        inputs=input_options,
    shell:
        "python -m model.stages.{rule} --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "{params.inputs} --log {log:q}"


use rule tokens as store with:
    input:
        unpack(inputs_of(STORE)),
    output:
        manifest=STORE,
    log:
        log_of(STORE),
    params:
        recipe=recipe_of(STORE),
        inputs=input_options,


use rule tokens as samples with:
    input:
        unpack(inputs_of(SAMPLES)),
    output:
        manifest=SAMPLES,
    log:
        log_of(SAMPLES),
    params:
        recipe=recipe_of(SAMPLES),
        inputs=input_options,
