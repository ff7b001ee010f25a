"""Which recipes are installed: modules named by the entry-point group ``her2viewer.recipes``."""

from __future__ import annotations

import difflib
import importlib

from her2viewer.scoring.registry import RECIPES_GROUP
from her2viewer.training.recipe import Recipe, TrainingError


def recipes_of(plugin: str) -> tuple[Recipe, ...]:
    """The recipes of a plugin, the usual one first: ``RECIPES`` of its module.

    Raises:
        TrainingError: there is no such plugin, it has no recipes, or its module cannot be imported.
    """
    modules = recipe_modules()
    if plugin not in modules:
        close = difflib.get_close_matches(plugin, modules, n=1)
        hint = f" Did you mean {close[0]}?" if close else f" There are: {', '.join(modules) or 'none'}."
        raise TrainingError(f"No plugin named {plugin!r} can be trained.{hint}")
    try:
        found = importlib.import_module(modules[plugin]).RECIPES
    except Exception as error:
        raise TrainingError(
            f"The recipes of {plugin!r} cannot be loaded ({type(error).__name__}: {error}). Install it again."
        ) from error
    return tuple(found)


def find_recipe(plugin: str, name: str | None) -> Recipe:
    """A recipe by name, the first where none is named.

    Raises:
        TrainingError: there is none.
    """
    recipes = recipes_of(plugin)
    for recipe in recipes:
        if name in (None, recipe.name):
            return recipe
    there = ", ".join(recipe.name for recipe in recipes) or "none"
    raise TrainingError(f"{plugin} has no recipe {name!r}. There are: {there}.")


def recipe_modules() -> dict[str, str]:
    """Module of each plugin that can be trained, by plugin id."""
    from importlib.metadata import entry_points

    found: dict[str, str] = {}
    for point in entry_points(group=RECIPES_GROUP):
        found.setdefault(point.name, point.value.partition(":")[0])
    return dict(sorted(found.items()))
