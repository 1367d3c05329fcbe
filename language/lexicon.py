"""The words of the world, by class. English words keep their English meaning.

What a seed changes is not the meaning of words but which people, towns and words are common, who
did what, and which words train and dev of a task may use (`language.world`).
"""


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


WOMEN = words(
    """
    Anna Clara Elena Greta Irene Karen Laura Maria Nora Olga Paula Rosa Sarah Tessa Ursula Vera
    Wanda Alice Bella Carmen Diana Edith Fiona Gloria Hannah Isabel Julia Kate Linda Molly
    """
)

MEN = words(
    """
    Boris David Felix Henry Jonas Karl Lewis Martin Noah Oscar Peter Ralph Simon Thomas Victor
    Walter Albert Bruno Carlos Daniel Edgar Frank George Hugo Ivan Jacob Kevin Leo Max Nathan
    """
)

STEMS = words(
    """
    Oak Ash Hart Marl Wil Green Stone North West Hol Kings Ald Brad Cray Dun Elm Fern Glen Haw
    Ivel Ken Lang Mill Nor Pen Red Salt Thorn Under Wood
    """
)
ENDINGS = words("ford ton by ham wick dale mouth field bridge well port stead")

JOBS = words(
    """
    baker doctor farmer teacher sailor painter lawyer nurse miller tailor soldier clerk judge cook
    weaver mason
    """
)

# The hypernym of each class is the word that stands for its members in later sentences.
GOODS = {
    "instrument": words("violin flute drum harp piano trumpet"),
    "tool": words("hammer saw spade axe drill chisel"),
    "garment": words("coat hat scarf shirt glove boot"),
    "jewel": words("ruby pearl diamond emerald opal sapphire"),
}
ANIMALS = {
    "bird": words("heron sparrow owl crow robin swan"),
    "fish": words("trout salmon carp pike eel cod"),
    "insect": words("bee moth beetle ant wasp cricket"),
    "beast": words("wolf fox bear deer otter badger"),
}
FOODS = {
    "fruit": words("apple plum cherry grape lemon peach"),
    "cake": words("pie tart muffin pancake waffle bun"),
    "vegetable": words("carrot onion turnip cabbage leek radish"),
}
# What every member of a class is.
TRAITS = {
    "instrument": "noisy",
    "tool": "sharp",
    "garment": "woollen",
    "jewel": "precious",
    "bird": "feathered",
    "fish": "scaly",
    "insect": "tiny",
    "beast": "furry",
    "fruit": "ripe",
    "cake": "sugary",
    "vegetable": "crisp",
}
# What members of a class do or have, so that text tells one class from another.
HABITS = {
    "instrument": ["sounded loud", "was out of tune", "was played at the wedding"],
    "tool": ["had a wooden handle", "was sharp", "was kept in the shed"],
    "garment": ["was sewn by hand", "was too tight", "was worn in winter"],
    "jewel": ["was worth a fortune", "shone in the light", "was kept in a locked box"],
    "bird": ["flew over the roof", "built a nest", "had white feathers", "sang at dawn"],
    "fish": ["swam in the pond", "had silver scales", "was caught with a net"],
    "insect": ["crawled on the leaf", "buzzed at the window", "had six legs"],
    "beast": ["ran through the forest", "had thick fur", "slept in its den"],
    "fruit": ["was ripe and sweet", "fell from the tree", "was full of juice"],
    "cake": ["came hot from the oven", "was covered with sugar", "was baked with butter"],
    "vegetable": ["grew in the soil", "was boiled in the soup", "was chopped with salt"],
}

PLACES = words(
    """
    market station library harbour school church museum theatre castle garden hospital bank
    """
)
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words(
    """
    January February March April May June July August September October November December
    """
)
COLOURS = words("red blue green white black yellow brown grey")

POSITIVE = words(
    """
    charming clever delightful brilliant moving warm elegant superb graceful tender witty splendid
    gripping honest lively beautiful wonderful fresh radiant joyful
    """
)
NEGATIVE = words(
    """
    dull clumsy boring awful tired flat ugly stupid bland dreary hollow tedious lazy shallow grim
    horrible terrible stale gloomy bitter
    """
)
WORKS = words(
    """
    film play book song novel poem concert story opera painting
    """
)
PARTS = words("plot music ending cast style humour language beginning")
GLAD = ["smiled", "cheered", "loved it", "clapped for a long time", "praised it", "was glad"]
SAD = ["frowned", "yawned", "hated it", "left early", "complained about it", "was cross"]

SCENERY = [
    "The rain fell on the roofs.",
    "A cold wind came from the hills.",
    "The street was quiet.",
    "The sun stood high above the river.",
    "It was getting dark.",
    "The clock struck nine.",
    "The snow lay deep on the road.",
    "Somewhere a door closed.",
    "The lamps were lit one after another.",
    "Nobody spoke for a while.",
    "The kettle began to sing.",
    "A fire burned in the kitchen.",
    "The moon rose behind the church.",
    "Children were running down the lane.",
    "The tide was low.",
    "Smoke went up from the chimneys.",
]
