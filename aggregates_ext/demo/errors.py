"""What can go wrong in the demonstration."""


class DemoError(Exception):
    """The demonstration cannot go on; the message says why."""


class Unproven(DemoError):
    """A step did not have its effect on the simulated hosts."""
