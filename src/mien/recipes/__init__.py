"""Recipes: one YAML file each, at most a screen."""
