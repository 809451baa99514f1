"""Hyperparameter-search benchmarks on real past evaluations: problems, methods, the harness that compares them."""
