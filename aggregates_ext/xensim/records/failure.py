"""The failures which a simulated xapi answers, and broken connections."""


class Failure(Exception):
    """An API error: a code and its parameters (xapi#wire)."""

    def __init__(self, code: str, *parameters: str) -> None:
        super().__init__(code, *parameters)
        self.code = code
        self.parameters = parameters

    @property
    def description(self) -> list[str]:
        """The ErrorDescription as a client sees it."""
        return [self.code, *self.parameters]


class ConnectionLost(Exception):
    """The connection breaks before an answer is given."""
