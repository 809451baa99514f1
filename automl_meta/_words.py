"""Small rules of language that messages, notes and reports share."""


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    Args:
        n: How many.
        noun: In the singular; the plural takes an s.

    Example:
        >>> counted(1, "seed"), counted(1200, "seed")
        ('1 seed', '1,200 seeds')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
