"""Words that tell in which language a line is written. Pure.

The names of days and months are those of the locales of the C library (LC_TIME).
"""

from __future__ import annotations

import re

_CALENDAR = {
    "en": "monday tuesday wednesday thursday friday saturday sunday january february march april "
    "may june july august september october november december",
    "de": "montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz april "
    "mai juni juli august september oktober november dezember",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche janvier février mars avril mai juin "
    "juillet août septembre octobre novembre décembre",
    "es": "lunes martes miércoles jueves viernes sábado domingo enero febrero marzo abril mayo "
    "junio julio agosto septiembre octubre noviembre diciembre",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica gennaio febbraio marzo aprile "
    "maggio giugno luglio agosto settembre ottobre novembre dicembre",
}
_COMMON = {
    "en": "the this is are of and for not with to see there no from on or has been",
    "de": "der die das dies ist sind und für nicht mit zu den dem ein eine es kein keine von auf",
    "fr": "le la les des est sont et pour pas avec une dans sur par aucune ce cette il du",
    "es": "el los las es son y para no con una en por del este esta hay ninguna se",
    "it": "il gli è sono e per non con una nel di da questo questa della alcuna ci",
}
_CONCEPTS = {
    "en": "error warning directory file entering leaving failed missing unknown",
    "de": "fehler warnung verzeichnis datei betreten verlassen fehlgeschlagen fehlt unbekannt",
    "fr": "erreur avertissement répertoire fichier entre quitte échoué manquant inconnu",
    "es": "error aviso directorio fichero entrando saliendo falló falta desconocido",
    "it": "errore avviso directory file ingresso uscita fallito mancante sconosciuto",
}
"""What tools say most, in the words of GNU's translations."""
_WORD = re.compile(r"[^\W\d_]+")
_ENOUGH = 2
"""Common words of one language that a line must have, and more than of any other."""

_PLACES: dict[str, set[int]] = {}
for _names in _CALENDAR.values():
    for _place, _name in enumerate(_names.split()):
        _PLACES.setdefault(_name, set()).add(_place)
"""Which day or month of a list a name is."""

_SAID: dict[str, set[int]] = {}
for _names in _CONCEPTS.values():
    for _place, _name in enumerate(_names.split()):
        _SAID.setdefault(_name, set()).add(_place)

_FREQUENT = {language: frozenset(words.split()) for language, words in _COMMON.items()}


def is_calendar(word: str) -> bool:
    """Say whether a word is the name of a day or a month."""
    return word.casefold() in _PLACES


def translated(one: str, two: str) -> bool:
    """Say whether two lines say the same in two languages: a date, or prose."""
    words, others = ([word.casefold() for word in _WORD.findall(line)] for line in (one, two))
    here, there = _language(words), _language(others)
    if here and there:
        return here != there
    return any(_named(k, words, others) & _named(k, others, words) for k in (_PLACES, _SAID))


def _named(known: dict[str, set[int]], words: list[str], others: list[str]) -> set[int]:
    """Return which of what is known the one line names, and the other not by the same word."""
    return {place for word in words if word not in others for place in known.get(word, ())}


def _language(words: list[str]) -> str:
    counts = sorted((sum(w in known for w in words), name) for name, known in _FREQUENT.items())
    (second, _), (most, name) = counts[-2:]
    return name if most >= _ENOUGH and most > second else ""
