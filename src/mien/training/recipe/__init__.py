"""A recipe: one YAML file that says everything about a training."""

from mien.training.recipe.files import load_recipe
from mien.training.recipe.recipe import Recipe

__all__ = ["Recipe", "load_recipe"]
