"""Comparisons of search methods: problems x methods x seeds, as frames."""
