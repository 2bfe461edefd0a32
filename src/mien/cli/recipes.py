"""``mien recipes``."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.options import Json


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe in full.")] = None,
    as_json: Json = False,
) -> None:
    """List the recipes that come with mien, or show one."""
    import yaml

    from mien.cli.printing import print_json
    from mien.recipes import list_recipes, read_recipe

    texts = {each: read_recipe(each) for each in ([name] if name else list_recipes())}
    if as_json:
        print_json({each: yaml.safe_load(text) for each, text in texts.items()})
        return
    if name:
        print(texts[name], end="")
        return
    for each, text in texts.items():
        recipe = yaml.safe_load(text)
        print(f"{each}\n  {recipe['about'].strip()}")
        for key in ("paper", "expect"):
            if recipe.get(key):
                print(f"  {key}: {recipe[key].strip()}")
        print()
