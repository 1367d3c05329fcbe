"""One HTML file of all that is finished, to send around: `results/report.html`.

`reading` reads the files of `results/`, `contents` puts together what the page shows, and
`templates/` says how: styles and figures inside the file, no script, nothing that is loaded.
"""
