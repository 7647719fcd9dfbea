"""Errors as one line for a user of the command line."""

from packhouse.errors import PackhouseError, WithReason


def describe(error: PackhouseError) -> str:
    """Return the error as a sentence, with its reason, or else with the values of its fields."""
    sentence = error.code.value
    if isinstance(error, WithReason) and error.reason:
        sentence += f": {error.reason}"
    values = {name: value for name, value in error.fields.items() if name != "reason" and value is not None}
    if values:
        sentence += f" ({', '.join(f'{name} {value}' for name, value in values.items())})"
    return one_line(sentence)


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters, because a terminal would act on them."""
    return "".join(character if character.isprintable() else " " for character in text)
