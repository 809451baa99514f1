"""Past evaluations: collecting them, storing them, splitting them without leaks."""
