"""Sentences of the robot's own world, drawn from a grammar over the words of `perception.social_scene`.

They are what the text tower must understand best: captions, facts read from tracks and scans, questions,
and things in homes and offices that a memory of places is asked for. All draws are seeded.
"""

from __future__ import annotations

import re

import numpy as np

from lifelong_nav.perception.captions import attribute_prompts, entity_phrase, long_caption, short_caption
from lifelong_nav.perception.social_scene import (
    ACTIONS,
    DENSITIES,
    ENVIRONMENTS,
    GROUPINGS,
    KINDS,
    MOTIONS,
    SCENARIOS,
    SIDES,
    Entity,
    SocialScene,
)  # fmt: skip

_WORDS = {
    "robot": ("machine", "mobile robot", "service robot", "cart"),
    "person": ("pedestrian", "human", "man", "woman", "visitor", "nurse", "child", "worker", "colleague"),
    "people": ("pedestrians", "humans", "persons", "visitors", "passers-by", "men and women", "students"),
    "corridor": ("hallway", "passage", "hall way", "aisle"),
    "hallway": ("corridor", "passageway"),
    "crossing": ("intersection", "junction"),
    "doorway": ("door", "entrance", "door opening"),
    "elevator": ("lift",),
    "walks": ("moves", "strolls", "comes", "goes", "hurries"),
    "walk": ("move", "stroll", "go", "hurry"),
    "stands": ("waits", "stops", "is standing"),
    "talk": ("chat", "are in conversation", "speak with each other"),
    "narrow": ("tight", "small"),
    "towards": ("in the direction of", "up to"),
    "crowded": ("busy", "packed", "full"),
    "several": ("some", "a few", "a number of"),
    "nobody": ("no one", "no person"),
    "slow": ("unhurried", "elderly"),
    "blocks": ("obstructs", "is blocking"),
    "curious": ("interested",),
    "dense": ("thick", "tight"),
    "line": ("queue", "row"),
    "group": ("cluster", "party", "bunch"),
    "groups": ("clusters", "parties"),
}
_COUNTS = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "ten",
    "a dozen",
    "2",
    "3",
    "4",
    "12",
)
_NEAR = (
    "very close", "close", "near", "at arm's length", "within reach", "a few steps away", "at some distance",
    "far", "far away", "far off", "in the distance", "out of reach",
)  # fmt: skip
_SIDES = (
    "ahead", "straight ahead", "in front", "in front of the robot", "ahead on the left",
    "ahead on the right", "ahead left", "ahead right", "on the left", "on the right", "to the left",
    "to the right", "behind", "behind the robot", "on both sides", "all around", "on the left side",
    "on the right side",
)  # fmt: skip
_MOTIONS = (
    "approaching", "coming closer", "walking towards the robot", "standing", "standing still", "waiting",
    "moving away", "walking away", "crossing to the left", "crossing to the right",
    "crossing from left to right", "crossing from right to left", "walking alongside",
    "walking beside the robot", "walking in the same direction", "overtaking", "turning around", "stopping",
    "walking slowly", "walking fast", "running", "sitting",
)  # fmt: skip
_TOGETHER = (
    "stand together", "stand in a circle and talk", "talk to each other", "walk together",
    "walk side by side", "walk one behind the other", "wait in a line", "wait in a queue", "stand apart",
    "are on their own", "are not together", "gather around the robot", "look at the robot", "block the way",
    "leave a gap", "pose for a photo", "are in the way", "leave the elevator", "come out of the door",
    "enter the room",
)  # fmt: skip
_SPACE = (
    "is narrow", "is wide", "is free", "is blocked", "is clear ahead", "is full of people", "is empty",
    "is long", "is short", "leaves no room to pass", "leaves room to pass on the left",
    "leaves room to pass on the right", "ends at a wall", "turns left", "turns right", "is open",
    "is closed", "is straight ahead", "is crowded",
)  # fmt: skip
_PLACES = (
    "corridor", "narrow corridor", "wide corridor", "hallway", "doorway", "narrow doorway", "door",
    "elevator", "elevator door", "lobby", "hall", "open hall", "room", "office", "meeting room", "kitchen",
    "aisle", "way", "shelf aisle", "intersection", "crossing of corridors", "corner", "blind corner",
    "waiting room", "counter", "hospital corridor", "supermarket", "museum", "station", "canteen", "ward",
    "laboratory", "passage",
)  # fmt: skip
_ROBOT = (
    "the robot drives fast", "the robot drives slowly", "the robot stands still", "the robot turns left",
    "the robot turns right", "the goal is ahead", "the goal is behind the people", "the goal is on the left",
    "the goal is on the right", "the robot is inside the elevator", "the robot is about to enter the room",
    "the robot follows a person", "the robot leads a visitor", "the way to the goal is free",
)  # fmt: skip
_QUESTIONS = (
    "what is going on here?", "is the {place} free?", "how many people are in the {place}?",
    "who is {near}?", "where can the robot pass?", "should the robot {action}?", "is someone {motion}?",
    "where is the {thing}?", "where did you last see the {thing}?", "which room has a {thing}?",
    "is there a {thing} in the {place}?", "when was the {place} crowded?", "go to the {place}",
    "bring me the {thing}", "find the {thing}", "take me to the {place} with the {thing}",
    "have you seen my {thing}?", "put the {thing} on the {spot}",
)  # fmt: skip
_COLOURS = (
    "red", "blue", "green", "white", "black", "yellow", "brown", "grey", "orange", "pink", "wooden", "glass",
    "metal", "plastic", "small", "large", "old", "new", "empty", "full", "open", "broken",
)  # fmt: skip
THINGS = (
    "mug", "cup", "plate", "bowl", "glass", "bottle", "water bottle", "knife", "fork", "spoon", "pan", "pot",
    "kettle", "toaster", "microwave", "oven", "fridge", "refrigerator", "dishwasher", "sink", "tap",
    "coffee machine", "table", "chair", "armchair", "sofa", "couch", "bed", "pillow", "blanket", "wardrobe",
    "drawer", "cupboard", "shelf", "bookcase", "book", "newspaper", "magazine", "lamp", "ceiling light",
    "candle", "clock", "mirror", "picture", "painting", "poster", "curtain", "window", "door", "carpet",
    "rug", "plant", "flower pot", "vase", "television", "remote control", "radio", "loudspeaker", "laptop",
    "keyboard", "computer mouse", "monitor", "printer", "phone", "charger", "cable", "power socket",
    "backpack", "handbag", "suitcase", "umbrella", "coat", "jacket", "shoes", "hat", "keys", "wallet",
    "glasses", "medicine", "pill box", "walking stick", "wheelchair", "walker", "towel", "soap",
    "toothbrush", "shampoo", "toilet paper", "bathtub", "shower", "washing machine", "bin", "trash can",
    "broom", "mop", "bucket", "vacuum cleaner", "toolbox", "hammer", "screwdriver", "ladder", "box",
    "cardboard box", "parcel", "letter", "pen", "pencil", "notebook", "scissors", "tape", "whiteboard",
    "projector", "desk", "filing cabinet", "vending machine", "water dispenser", "fire extinguisher",
    "first aid kit", "exit sign", "staircase", "handrail", "trolley", "shopping cart", "stroller", "bicycle",
    "scooter", "dog", "cat", "ball", "toy car", "doll", "guitar", "piano", "apple", "banana", "orange",
    "bread", "milk", "cereal box", "hospital bed", "stretcher", "infusion stand", "reception desk",
    "turnstile", "bench", "pallet", "forklift",
)  # fmt: skip
_SPOTS = (
    "kitchen table", "table", "desk", "shelf", "top shelf", "floor", "sofa", "bed", "counter", "window sill",
    "chair", "cupboard", "drawer", "coffee table", "bedside table", "corridor", "living room", "bedroom",
    "bathroom", "kitchen", "office", "entrance hall", "garage", "meeting room", "reception", "waiting room",
    "balcony",
)  # fmt: skip


def _pick(rng: np.random.Generator, options: tuple[str, ...] | list[str]) -> str:
    return options[int(rng.integers(len(options)))]


def reword(sentence: str, rng: np.random.Generator, share: float = 0.35) -> str:
    """The same statement with each known word replaced by a near synonym with probability `share`."""

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        options = _WORDS.get(word.lower())
        return _pick(rng, options) if options and rng.random() < share else word

    return re.sub(r"[A-Za-z]+", swap, sentence)


def _distance(rng: np.random.Generator) -> str:
    if rng.random() < 0.6:
        return _pick(rng, _NEAR)
    metres = f"{rng.uniform(0.4, 9.0):.1f}" if rng.random() < 0.6 else str(int(rng.integers(1, 10)))
    return _pick(
        rng, (f"{metres} m away", f"{metres} metres away", f"at {metres} m", f"{metres} meters ahead")
    )


def _people(rng: np.random.Generator) -> str:
    side, motion, far = _pick(rng, _SIDES), _pick(rng, _MOTIONS), _distance(rng)
    count = _pick(rng, _COUNTS)
    kind = int(rng.integers(7))
    if kind == 0:
        return f"one person is {far} {side} and {motion}"
    if kind == 1:
        return f"a person {side}, {far}, {motion}"
    if kind == 2:
        return f"{count} people {side}, the nearest {far}, {motion}"
    if kind == 3:
        return f"{count} people {_pick(rng, _TOGETHER)} {side}"
    if kind == 4:
        return f"a group of {count} people {side}, {far}, {motion}"
    if kind == 5:
        return f"{count} people are in view, the nearest one is {far}"
    return _pick(rng, (*DENSITIES.values(), *GROUPINGS.values(), "nobody is in view", "no people are near"))


def _place(rng: np.random.Generator) -> str:
    place = _pick(rng, _PLACES)
    kind = int(rng.integers(5))
    if kind == 0:
        return f"the {place} {_pick(rng, _SPACE)}"
    if kind == 1:
        return f"a {place} {rng.uniform(0.7, 6.0):.1f} m wide {_pick(rng, _SIDES)}"
    if kind == 2:
        return f"the robot is in {_pick(rng, tuple(ENVIRONMENTS.values()))}"
    if kind == 3:
        return f"{_pick(rng, tuple(ENVIRONMENTS.values()))}, the {place} {_pick(rng, _SPACE)}"
    return f"a {place} {_distance(rng)}, the wall is {_distance(rng)} {_pick(rng, _SIDES)}"


def _action(rng: np.random.Generator) -> str:
    action = _pick(rng, tuple(ACTIONS.values()))
    return _pick(
        rng, (f"the robot should {action}", f"best action: {action}", action, f"it is polite to {action}")
    )


def scene_sentence(rng: np.random.Generator) -> str:
    """One sentence or caption about a social scene."""
    scenario = _pick(rng, tuple(SCENARIOS.values()))
    env, density = _pick(rng, tuple(ENVIRONMENTS.values())), _pick(rng, tuple(DENSITIES.values()))
    grouping = _pick(rng, tuple(GROUPINGS.values()))
    kind = int(rng.integers(11))
    if kind == 0:
        text = scenario
    elif kind == 1:
        text = _people(rng)
    elif kind == 2:
        text = _place(rng)
    elif kind == 3:
        text = f"{env}: {density}, {grouping}"
    elif kind == 4:
        text = f"{_people(rng)}; {_people(rng)}; {_place(rng)}"
    elif kind == 5:
        text = f"{scenario} {_people(rng)}. {_people(rng)}. {_action(rng)}."
    elif kind == 6:
        text = f"In {env}, {density} and {grouping}. {scenario} {_action(rng)}."
    elif kind == 7:
        people = f"{_people(rng)}; {_people(rng)}"
        text = f"{scenario} The robot is in {env}, {density}, {grouping}. {people}. {_action(rng)}."
    elif kind == 8:
        text = _pick(rng, (_action(rng), _pick(rng, _ROBOT), f"{_pick(rng, _ROBOT)}, {_place(rng)}"))
    elif kind == 9:
        text = _pick(
            rng, (f"a photo of {env}, {density}", f"{density} in {env}", f"{grouping} in {env}", density, env)
        )
    else:
        text = f"{_place(rng)}, {_people(rng)}"
    return reword(text, rng, 0.5 if kind == 0 else 0.25)


def home_sentence(rng: np.random.Generator) -> str:
    """One sentence about things, rooms or an errand."""
    thing, spot = _pick(rng, THINGS), _pick(rng, _SPOTS)
    if rng.random() < 0.5:
        thing = f"{_pick(rng, _COLOURS)} {thing}"
    kind = int(rng.integers(8))
    if kind == 0:
        return f"the {thing} is {_pick(rng, ('on', 'in', 'under', 'beside', 'behind', 'near'))} the {spot}"
    if kind == 1:
        return f"a {thing} and a {_pick(rng, THINGS)} in the {spot}"
    if kind == 2:
        return f"a photo of a {thing}"
    if kind == 3:
        return thing
    if kind == 4:
        when = _pick(rng, ("today", "yesterday", "this morning", "an hour ago"))
        return f"I saw a {thing} {when} in the {spot}"
    question = _pick(rng, _QUESTIONS)
    return question.format(
        place=_pick(rng, _PLACES), near=_pick(rng, _SIDES), thing=thing, spot=spot,
        motion=_pick(rng, _MOTIONS), action=_pick(rng, tuple(ACTIONS.values())),
    )  # fmt: skip


def caption_sentence(rng: np.random.Generator) -> str:
    """A caption, entity phrases or an attribute's prompt of a random scene, in the words of `captions`."""
    if rng.random() < 0.05:
        prompts = attribute_prompts()
        return _pick(rng, tuple(prompts[_pick(rng, tuple(prompts))].values()))
    entities = tuple(
        Entity(
            _pick(rng, ("person", "person", "person", *KINDS)), _pick(rng, SIDES),
            round(float(rng.uniform(0.4, 8.0)), 1), _pick(rng, MOTIONS), max(1, int(rng.integers(-4, 9))),
        )
        for _ in range(int(rng.integers(0, 6)))
    )  # fmt: skip
    scene = SocialScene(
        scenario=_pick(rng, tuple(SCENARIOS)), environment=_pick(rng, tuple(ENVIRONMENTS)),
        density=_pick(rng, tuple(DENSITIES)), grouping=_pick(rng, tuple(GROUPINGS)), entities=entities,
        action=_pick(rng, tuple(ACTIONS)),
    )  # fmt: skip
    kind = rng.random()
    if entities and kind < 0.25:
        return "; ".join(entity_phrase(e) for e in entities[:3])
    return short_caption(scene, rng) if kind < 0.5 else long_caption(scene, rng)


WRITTEN = (
    "Two nurses push a bed down the corridor while a visitor steps aside.",
    "crowded hospital corridor",
    "many people in busy hallway",
    "A man with a suitcase waits in front of the lift.",
    "The doors of the lift open and four people want to get out.",
    "A child runs across the lobby and stops right before the robot.",
    "Nobody is in the corridor, it can go on.",
    "Somebody comes round the corner quickly.",
    "An old lady with a walking frame takes up the whole passage.",
    "Three colleagues chat beside the coffee machine and block half of the aisle.",
    "People queue for the cash desk across our way.",
    "Tourists take pictures of one another in the hall.",
    "Please wait until they have left the room.",
    "Let the woman with the pram go first.",
    "It would be rude to drive between the two who are speaking.",
    "A guide walks in front with a party of visitors behind her.",
    "The robot accompanies a patient to the ward at walking pace.",
    "Staff hurry in both directions during the lunch break.",
    "A dense flow of commuters streams out of the station.",
    "A jogger overtakes on the right.",
    "Someone holds the door open for the robot.",
    "The passage is too tight for two to pass.",
    "A cleaner has left a bucket in the middle of the floor.",
    "Somebody leans against the wall and looks at his phone.",
    "A crowd has formed around the machine, everyone wants to touch it.",
    "The room is empty and the lights are off.",
    "the green cup stands next to the sink",
    "where have I left my reading glasses?",
    "bring the parcel to the front desk",
    "a wheelchair is parked near the exit",
    "the fire extinguisher hangs at the end of the hall",
    "which shelf holds the cereal?",
    "a dog sleeps on the carpet",
    "the stock market fell sharply on Monday",
    "she plays the violin in an orchestra",
    "volcanoes erupt when magma rises",
)
"""Sentences written by hand, never trained on: the held-out set that the grammar has not seen."""
