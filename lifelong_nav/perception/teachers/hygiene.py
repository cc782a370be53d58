"""Free text from a teacher is data: cleaned to one plain English sentence, or refused.

What a teacher writes is embedded, stored, read aloud and shown to later teachers, and a teacher repeats what
it reads on signs. So links, code, markup, mail addresses and anything that gives orders is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from lifelong_nav.core.errors import InputError
from lifelong_nav.perception.social_scene import SCENARIOS, SocialScene
from lifelong_nav.perception.teachers.base import TeacherError

MAX_WORDS = 30
_LINK = re.compile(r"https?:|www\.|\w\.(com|org|net|io|de|ai|dev|info|biz|sh|py|exe)\b|@|//|\\", re.I)
_MARKUP = re.compile(r"[<>{}\[\]`$|=*#_~^&%\"]")
_ORDER_STEMS = (
    "ignor overrid bypass jailbreak pretend obey execut eval delet eras forget instruct prompt "
    "disregard admin password secret token credential command disabl enabl unlock accelerat attack kill "
    "harm weapon download upload"
)
_ORDER_WORDS = (
    "sudo shell import system assistant developer root api publish velocity cmd ram click visit email "
    "e-mail pay buy you your i we script http ftp json schema must should shall please immediately "
    "always never"
)
_ORDER_PHRASES = "emergency stop|(full|top|maximum|max) speed|language model|drop table"
_FIRST_WORDS = (
    "drive go move stop turn proceed follow open close run speed set do don't say tell write answer "
    "reply respond output print repeat let make take give keep use report label classify call choose "
    "act be"
)


def _any_of(words: str) -> str:
    return "|".join(words.split())


_ORDERS = re.compile(rf"\b(({_any_of(_ORDER_STEMS)})\w*|{_any_of(_ORDER_WORDS)}|{_ORDER_PHRASES})\b", re.I)
_IMPERATIVE = re.compile(rf"({_any_of(_FIRST_WORDS)})\b", re.I)
_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:'()\-]+")
_SPACES = re.compile(r"\s+")
_FIX = "Nothing of this answer is used."


def clean_sentence(text: str) -> str:
    """One plain sentence.

    Raises:
        TeacherError: reason "hostile" for links, code, markup or orders; "schema" for no sentence.
    """
    folded = unicodedata.normalize("NFKC", text)
    for odd, plain in (("’", "'"), ("‘", "'"), ("–", "-"), ("—", "-")):
        folded = folded.replace(odd, plain)
    if any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn") and c not in "\n\t\r" for c in folded):
        raise TeacherError("hostile", "The answer carries hidden characters.", _FIX)
    sentence = _SPACES.sub(" ", folded).strip()
    sentence = "".join(c for c in unicodedata.normalize("NFKD", sentence) if not unicodedata.combining(c))
    for pattern, what in (
        (_LINK, "a link"),
        (_MARKUP, "markup or code"),
        (_ORDERS, "words that give orders"),
    ):
        if pattern.search(sentence):
            raise TeacherError("hostile", f"The answer carries {what}.", _FIX)
    if _IMPERATIVE.match(sentence):
        raise TeacherError("hostile", "The answer's description is an order.", _FIX)
    words = sentence.split(" ")
    if not _PLAIN.fullmatch(sentence) or not 3 <= len(words) <= MAX_WORDS or max(map(len, words)) > 24:
        raise TeacherError("schema", "The answer's description is no plain English sentence.", _FIX)
    return f"{sentence[0].upper()}{sentence[1:].rstrip('.,;: ')}."


def clean_scene(scene: SocialScene, known: Mapping[str, str]) -> SocialScene:
    """The scene with the sentence of its scenario as we know it, or a cleaned one where it is new.

    Raises:
        TeacherError: see `clean_sentence`; names are held to the same rules.
    """
    if scene.scenario in SCENARIOS:
        return replace(scene, description="")
    if scene.scenario in known:
        return replace(scene, description=known[scene.scenario])
    name = scene.scenario.replace("_", " ")
    if _ORDERS.search(name) or _IMPERATIVE.match(name) or len(scene.scenario) > 40:
        raise TeacherError("hostile", "The answer's scenario name gives orders or is too long.", _FIX)
    try:
        return replace(scene, description=clean_sentence(scene.description))
    except InputError as error:
        raise TeacherError("schema", error.what, _FIX) from error
