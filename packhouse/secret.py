"""A text that must not be shown: passwords, signing secrets, keys."""


class Secret:
    """Holds a secret text. Its repr is blank, so that logs, errors and debuggers do not show the text.

    `reveal()` is the only way to the text. Call it where the text is used, not earlier.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret()"

    def __format__(self, spec: str) -> str:
        return "Secret()"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not serialised")
