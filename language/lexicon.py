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
    Wanda Alice Bella Carmen Diana Edith Fiona Gloria Hannah Isabel Julia Kate Linda Molly Nina
    Olive Petra Rachel Sonia Tanya Violet Willa Yvonne Zoe Agnes Beth Celia Dora Emma Flora
    Gemma Helen Ingrid Jane Lucy Martha Naomi Ophelia Ruth Stella Thelma Una Vivian
    Winifred Ada Brenda Cora Daphne Eva Frances Gwen Hilda Ida Joan Kitty Lena Mabel Nelly
    Penny Rhoda Sally Tilda Esther Mary
    """
)

MEN = words(
    """
    Boris David Felix Henry Jonas Karl Lewis Martin Noah Oscar Peter Ralph Simon Thomas Victor
    Walter Albert Bruno Carlos Daniel Edgar Frank George Hugo Ivan Jacob Kevin Leo Max Nathan
    Otto Paul Quentin Robert Samuel Theo Vincent William Xavier Adam Basil Conrad Dennis Eric
    Fred Gilbert Harold Isaac James Kurt Lionel Mark Nigel Owen Philip Roland Stefan Toby Ulric
    Vernon Wesley Alan Bernard Cecil Duncan Edward Francis Gordon Howard Igor John Keith Lucas
    Miles Neil Oliver Percy Rufus Stanley Trevor Arthur Joseph
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
    baker doctor farmer teacher sailor painter lawyer nurse miller tailor soldier clerk judge
    cook weaver mason hunter printer barber butcher engineer gardener librarian musician
    carpenter fisherman
    """
)

# The hypernym of each class is the word that stands for its members in later sentences.
GOODS = {
    "instrument": words("violin flute drum harp piano trumpet cello guitar organ fiddle"),
    "tool": words("hammer saw spade axe drill chisel rake wrench shovel knife"),
    "garment": words("coat hat scarf shirt glove boot cloak jacket dress belt"),
    "vehicle": words("cart wagon bicycle boat ferry truck carriage tram sledge canoe"),
    "jewel": words("ruby pearl diamond emerald opal sapphire garnet amber topaz brooch"),
    "toy": words("doll kite puzzle marble balloon puppet top rattle robot hoop"),
}
ANIMALS = {
    "bird": words("heron sparrow owl crow robin swan gull finch parrot pigeon"),
    "fish": words("trout salmon carp pike eel cod perch herring tuna sardine"),
    "insect": words("bee moth beetle ant wasp cricket hornet butterfly dragonfly locust"),
    "beast": words("wolf fox bear deer otter badger hare goat donkey camel"),
}
FOODS = {
    "fruit": words("apple plum cherry grape lemon peach fig melon banana mango"),
    "cake": words("pie tart muffin pancake waffle bun biscuit pudding scone cookie"),
    "vegetable": words("carrot onion turnip cabbage leek radish pepper bean potato pumpkin"),
}
# What members of a class do or have, so that text tells one class from another.
HABITS = {
    "instrument": ["sounded loud", "was out of tune", "was played at the wedding"],
    "tool": ["had a wooden handle", "was sharp", "was kept in the shed"],
    "garment": ["was sewn by hand", "was too tight", "was worn in winter"],
    "vehicle": ["had a broken wheel", "was slow on the hill", "carried six people"],
    "jewel": ["was worth a fortune", "shone in the light", "was kept in a locked box"],
    "toy": ["was made for children", "lay in the nursery", "was fun to play with"],
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
    market station library harbour school church museum theatre castle garden hospital bank inn
    factory tower palace bakery prison
    """
)
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words(
    """
    January February March April May June July August September October November December
    """
)
COLOURS = words("red blue green white black yellow brown grey purple orange pink golden")

POSITIVE = words(
    """
    charming clever delightful brilliant moving warm elegant superb graceful tender witty
    splendid gripping honest lively beautiful wonderful fresh radiant joyful stunning marvellous
    vivid sincere inspired touching excellent amusing magical perfect thrilling noble pleasant
    gentle fine masterful refreshing hilarious admirable sparkling engaging lovely polished
    stirring rewarding captivating
    """
)
NEGATIVE = words(
    """
    dull clumsy boring awful tired flat ugly stupid bland dreary hollow tedious lazy shallow
    grim horrible terrible stale gloomy bitter messy dreadful vulgar false lifeless painful poor
    annoying foolish broken tiresome cruel unpleasant rude weak careless exhausting pointless
    miserable clunky repulsive hideous sloppy irritating wretched laboured
    """
)
WORKS = words(
    """
    film play book song novel poem concert story opera painting show dance comedy tale drama
    album
    """
)
PARTS = words("plot music ending cast dialogue style humour rhythm language script beginning cover")
GLAD = [
    "smiled",
    "cheered",
    "loved it",
    "laughed with joy",
    "clapped for a long time",
    "asked for more",
    "was happy",
    "praised it",
    "enjoyed every minute",
]
SAD = [
    "frowned",
    "yawned",
    "hated it",
    "left early",
    "complained about it",
    "asked for the money back",
    "was angry",
    "blamed the author",
    "regretted every minute",
]

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
