"""Recipes: what they hold, and one sentence for each mistake in them."""

from __future__ import annotations

import pytest

from her2viewer.phantom.looks import lab, labs, scanner, scanners
from her2viewer.phantom.recipe import RecipeError, parse_recipe, parse_shares, read_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_survives_being_written_and_read(name: str) -> None:
    recipe = read_recipe(name)
    assert parse_recipe(recipe.to_toml(), name) == recipe


def test_what_shares_lack_of_a_hundred_falls_to_class_0() -> None:
    assert parse_shares("3+ 11, 2+ 9, 1+ 9") == (71.0, 9.0, 9.0, 11.0)
    assert parse_shares("0 100") == (100.0, 0.0, 0.0, 0.0)
    assert parse_shares("") == (100.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("shares", "part"),
    [
        ("3+ 60, 2+ 50", "add up to 110 %"),
        ("0 10, 3+ 20", "add up to 30 %"),
        ("4+ 10", '"4+ 10" is no share'),
        ("3+ 10, 3+ 20", "two shares"),
        ("3+ -5", "is no share"),
        ("lots", '"lots" is no share'),
    ],
)
def test_wrong_shares_are_refused_in_one_sentence(shares: str, part: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_shares(shares)
    _one_sentence(str(caught.value), part)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[tissue\n", "no valid TOML"),
        ("[tissues]\ngrade = 2\n", "section [tissues]"),
        ("tissue = 3\n", "must be a section"),
        ("[tissue]\ngrad = 2\n", "did you mean grade?"),
        ("[tissue]\ngrade = 4\n", "whole number from 1 to 3, not 4"),
        ("[tissue]\ngrade = 2.5\n", "whole number from 1 to 3"),
        ("[tissue]\norgan = 'liver'\n", "one of breast, gastric, not 'liver'"),
        ("[tissue]\ngrowth = ['nests', 'clouds']\n", "one or two of nests"),
        ("[tissue]\ngrowth = []\n", "one or two of nests"),
        ("[tissue]\ncontrol = 1\n", "true or false"),
        ("[tissue]\nfat = true\n", "number from 0 to 1"),
        ("[tissue]\nfat = 1.5\n", "number from 0 to 1, not 1.5"),
        ("[tissue]\nfat = nan\n", "number from 0 to 1"),
        ("[her2]\nshares = 10\n", "must be text"),
        ("[her2]\nshares = '3+ 200'\n", "add up to 200 %"),
        ("[artefacts]\nfolds = -1\n", "whole number from 0 to 20"),
    ],
)
def test_each_mistake_in_a_recipe_is_told_in_one_sentence(text: str, part: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "mine")
    _one_sentence(str(caught.value), part)


def test_unknown_names_are_answered_with_a_proposal() -> None:
    for call, part in (
        (lambda: read_recipe("brest"), "did you mean breast?"),
        (lambda: read_recipe("nowhere.toml"), "cannot be read"),
        (lambda: lab("Z"), "there are A"),
        (lambda: scanner("lilak"), "did you mean lilac?"),
    ):
        with pytest.raises(RecipeError) as caught:
            call()
        _one_sentence(str(caught.value), part)


def test_scanners_span_the_glass_and_pixel_sizes_of_real_ones_and_labs_differ_in_their_vectors() -> None:
    sizes = [s.mpp for s in scanners().values()]
    assert min(sizes) <= 0.23
    assert max(sizes) >= 0.49
    greys = [sum(s.glass) / 3 for s in scanners().values()]
    assert min(greys) < 205
    assert max(greys) > 247
    assert any(s.glass[2] - s.glass[1] > 5 for s in scanners().values()), "one glass is lilac"
    assert len({one.haematoxylin for one in labs().values()}) == len(labs())


def _one_sentence(text: str, part: str) -> None:
    assert part in text
    assert text[0].isupper() or text[0] == '"'
    assert text[-1] in ".?"
    assert "\n" not in text
    assert "Traceback" not in text
