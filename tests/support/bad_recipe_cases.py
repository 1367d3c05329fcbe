"""The faults of docs/errors.md in recipes that somebody wrote by hand, by the words there."""

from bad_input_cases import FINETUNE, PRETRAIN
from bad_input_toy import World


def by_hand(change, then: tuple[str, str]):
    """Ask for the job `then` with a recipe that somebody wrote by hand."""

    def damage(world: World) -> None:
        world.forget(*then)
        world.change_recipe = change

    return damage, *then


def without(*names: str):
    """What takes a field out of a recipe."""

    def change(recipe: dict) -> None:
        *parents, last = names
        for name in parents:
            recipe = recipe[name]
        del recipe[last]

    return change


FEATURES = ("features", "sst2")
RECIPES = {
    "a recipe without a field": by_hand(without("settings", "batch"), FINETUNE),
    "a recipe without a field of its task": by_hand(without("task", "labels"), FEATURES),
    "a recipe with a field of another type": by_hand(
        lambda recipe: recipe["optimiser"].update(beta2="0.98"), PRETRAIN
    ),
    "a recipe with a field that nothing reads": by_hand(
        lambda recipe: recipe.update(lowercased=True), ("tokens", "wiki/shard-0")
    ),
    "a recipe with a number out of range": by_hand(
        lambda recipe: recipe.update(shards=0), ("sentences", "wiki/shard-0")
    ),
    "a recipe with a null": by_hand(
        lambda recipe: recipe.update(lowercase=None), ("vocabulary", "character")
    ),
    "a recipe that mixes two kinds": by_hand(
        lambda recipe: recipe.update(sha256="0" * 64), ("vocabulary", "character")
    ),
}
