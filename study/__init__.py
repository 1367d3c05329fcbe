"""What is run: configuration -> cells -> resolved recipes -> keys, and the manifests between jobs.

Nothing in this package imports torch or pandas: Snakemake reads it while it parses the Snakefile.
"""
