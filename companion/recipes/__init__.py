"""The training behind `companion.pretrained`: `python -m companion.recipes NAME`."""
