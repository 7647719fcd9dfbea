"""Figures of the structure of the code: `make figures`, or `python -m bench.structure FOLDER`."""
