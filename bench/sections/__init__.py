"""One module per section. Its docstring's first line is the title. `run(context)` yields Measures or lines."""
