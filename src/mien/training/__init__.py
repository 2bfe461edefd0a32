"""Recipes and training: the only place that holds networks and losses together."""
