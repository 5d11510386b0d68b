"""What somebody else might bring by mistake."""


def one_per_view(compared):
    """Not a scalar."""
    return compared.images @ compared.prompt


class Broken:
    """Cannot be made."""

    def __init__(self, device="cpu"):
        raise RuntimeError("the battery is empty")


class Toaster:
    """Can be made, but is of no use here."""

    def __init__(self, device="cpu"):
        self.name = "toaster"


LIMIT = 3
