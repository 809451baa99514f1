"""Other ways to use past tasks, for comparison: each to its paper, or from its own package."""
