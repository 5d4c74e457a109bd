"""``python -m export_pipeline``: the `export-pipeline` command."""

from export_pipeline.cli import main

if __name__ == "__main__":
    main()
