"""One module per section: its docstring's first line is the title, `run(context)` yields Measures or lines."""
