"""The commands of the study's eleven stages: `python -m model.stages.<stage>`, one module each."""
