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
    "es": "el los las es son para no con una en por del este esta hay ninguna se",
    "pt": "os as são para não com uma em do da este isto nenhum por ao na",
    "nl": "de het een is zijn en voor niet met zie er geen van op dit dat te",
    "sv": "den det är och för inte med en ett från på har som av till att",
    "pl": "jest są dla nie do na nie ma brak lub się od",
    "it": "il gli sono per non con una nel di da questo questa della alcuna ci",
}
_CONCEPTS = {
    "en": "error warning directory file entering leaving failed missing unknown yes no page "
    "contents table figure chapter index total usage options note version line name date "
    "size",
    "de": "fehler warnung verzeichnis datei betreten verlassen fehlgeschlagen fehlt unbekannt "
    "ja nein seite inhaltsverzeichnis tabelle abbildung kapitel index insgesamt aufruf "
    "optionen hinweis version zeile name datum größe",
    "fr": "erreur avertissement répertoire fichier entre quitte échoué manquant inconnu oui non "
    "page sommaire tableau figure chapitre index total utilisation options note version "
    "ligne nom date taille",
    "es": "error aviso directorio fichero entrando saliendo falló falta desconocido sí no "
    "página contenido tabla figura capítulo índice total uso opciones nota versión línea "
    "nombre fecha tamaño",
    "et": "viga hoiatus kataloog fail sisenetakse väljutakse ebaõnnestus puudub tundmatu jah ei "
    "lehekülg sisukord tabel joonis peatükk indeks kokku kasutamine võtmed märkus versioon rida "
    "nimi kuupäev suurus",
    "nl": "fout waarschuwing map bestand binnengaan verlaten mislukt ontbreekt onbekend ja nee "
    "pagina inhoud tabel figuur hoofdstuk register totaal gebruik opties opmerking versie regel "
    "naam datum grootte",
    "sv": "fel varning katalog fil går lämnar misslyckades saknas okänd ja nej sida innehåll "
    "tabell figur kapitel index totalt användning flaggor observera version rad namn datum storlek",
    "pl": "błąd ostrzeżenie katalog plik wejście opuszczenie niepowodzenie brak nieznany tak nie "
    "strona spis tabela rysunek rozdział indeks razem użycie opcje uwaga wersja wiersz nazwa "
    "data rozmiar",
    "pt": "erro aviso diretório arquivo entrando saindo falhou faltando desconhecido sim não "
    "página sumário tabela figura capítulo índice total uso opções nota versão linha nome data "
    "tamanho",
    "it": "errore avviso directory file ingresso uscita fallito mancante sconosciuto sì no "
    "pagina sommario tabella figura capitolo indice totale uso opzioni nota versione riga "
    "nome data dimensione",
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

_BOTH = "as no do in is on die an er van me per hay son so at be by te ne men"
_ENGLISH = frozenset(_BOTH.split())
"""Words of other languages that are English, too."""
_FREQUENT = {
    language: frozenset(words.split()) - (frozenset() if language == "en" else _ENGLISH)
    for language, words in _COMMON.items()
}


def translated(one: str, two: str) -> bool:
    """Say whether two lines say the same in two languages: a date, or prose."""
    words, others = ([word.casefold() for word in _WORD.findall(line)] for line in (one, two))
    here, there = _language(words), _language(others)
    if here and there:
        return here != there
    return any(_named(k, words, others) & _named(k, others, words) for k in (_PLACES, _SAID))


def titles(one: str, two: str) -> bool:
    """Say whether two short lines are in two languages: a word of one only, on either side."""
    words, others = ([word.casefold() for word in _WORD.findall(line)] for line in (one, two))
    sides = [
        {name for name, known in _FREQUENT.items() if any(word in known for word in each)}
        for each in (words, others)
    ]
    if any(_CODE.search(word) for word in (one, two)):
        return False
    short = 2 < len(words) < _TITLE and 2 < len(others) < _TITLE
    return short and "en" in sides[0] ^ sides[1] and all(sides) and not sides[0] & sides[1]


_CODE = re.compile(r"[(){}\[\]=;$_\"\\]")
_TITLE = 8
_SCRIPTS = re.compile(
    r"[\u0370-\u03ff]|[\u0400-\u04ff]|[\u0590-\u06ff]|[\u0900-\u0dff]|[\u3040-\u9fff]|[\uac00-\ud7af]"
)
"""Greek, Cyrillic, Hebrew and Arabic, Indian, Japanese and Chinese, Korean letters."""
_GARBLED = (
    r"(?:\?{1,4}|_|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[0-7]{3}|&#?\w+;|[^\x00-\x7f]|"
    r"[A-Za-z\"'.-]){0,12}?"
)
_MOST = 400


def in_other_script(one: str, two: str) -> bool:
    """Say whether only one of two lines has letters of a script that is not Latin."""
    words = all(map(_WORD.search, (one, two)))
    return words and bool(_SCRIPTS.search(one)) != bool(_SCRIPTS.search(two))


def transliterated(one: str, two: str) -> bool:
    """Say whether two lines are one text, of which one side has lost or escaped its letters."""
    for here, there in ((one, two), (two, one)):
        if here.isascii() or len(here) > _MOST or len(there) > 2 * _MOST:
            continue
        parts = re.split(r"[^\x00-\x7f]+", here)
        plain = sum(map(len, parts))
        if plain < len(there) and plain >= 3 and _joined(parts, there):
            return True
    return False


def _joined(parts: list[str], text: str) -> bool:
    """Say whether all parts are in a text in their order, with little garbage between."""
    if not (text.startswith(parts[0]) and text.endswith(parts[-1])):
        return False
    at = len(parts[0])
    for part in parts[1:-1]:
        found = text.find(part, at)
        if found < 0 or not re.fullmatch(_GARBLED, text[at:found], re.IGNORECASE):
            return False
        at = found + len(part)
    rest = text[at : len(text) - len(parts[-1])]
    return at <= len(text) - len(parts[-1]) and bool(re.fullmatch(_GARBLED, rest, re.IGNORECASE))


def _named(known: dict[str, set[int]], words: list[str], others: list[str]) -> set[int]:
    """Return which of what is known the one line names, and the other not by the same word."""
    return {place for word in words if word not in others for place in known.get(word, ())}


def _language(words: list[str]) -> str:
    counts = sorted((sum(w in known for w in words), name) for name, known in _FREQUENT.items())
    (second, _), (most, name) = counts[-2:]
    return name if most >= _ENOUGH and most > second else ""
