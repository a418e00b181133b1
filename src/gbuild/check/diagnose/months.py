"""Names of months and days in the languages that builders' machines speak. Pure.

They are those of the locales of the C library (LC_TIME), long and short.
"""

from __future__ import annotations

_LONG = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "at": "jänner feber maerz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
    "dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "fi": "tammikuu helmikuu maaliskuu huhtikuu toukokuu kesäkuu heinäkuu elokuu syyskuu lokakuu "
    "marraskuu joulukuu",
    "et": "jaanuar veebruar märts aprill mai juuni juuli august september oktoober november "
    "detsember",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października "
    "listopada grudnia",
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
    "hu": "január február március április május június július augusztus szeptember október "
    "november december",
    "tr": "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",  # noqa: RUF001 - Turkish
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
}
_SHORT = {
    "en": "jan feb mar apr may jun jul aug sep oct nov dec",
    "en2": "jan feb mar apr may june july aug sept oct nov dec",
    "de": "jan feb mär apr mai jun jul aug sep okt nov dez",
    "fr": "janv févr mars avril mai juin juil août sept oct nov déc",
    "es": "ene feb mar abr may jun jul ago sep oct nov dic",
    "it": "gen feb mar apr mag giu lug ago set ott nov dic",
    "pt": "jan fev mar abr mai jun jul ago set out nov dez",
    "nl": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "pl": "sty lut mar kwi maj cze lip sie wrz paź lis gru",
    "ru": "янв фев мар апр май июн июл авг сен окт ноя дек",
    "sv": "jan feb mar apr maj jun jul aug sep okt nov dec",
}
_DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun tues "
    "thur thurs wednes montag dienstag mittwoch donnerstag freitag samstag sonntag mo di mi do fr "
    "sa so lundi mardi mercredi jeudi vendredi samedi dimanche lun mar mer jeu ven sam dim lunes "
    "martes miércoles jueves viernes sábado domingo mié jue vie sáb dom lunedì martedì mercoledì "
    "giovedì venerdì sabato domenica gio sab segunda terça quarta quinta sexta maandag dinsdag "
    "woensdag donderdag vrijdag zaterdag zondag ma wo do vr za zo måndag tisdag onsdag torsdag "
    "fredag lördag söndag mån tis ons tors fre lör sön poniedziałek wtorek środa czwartek piątek "
    "sobota niedziela pon wto śro czw pią sob nie понедельник вторник среда четверг пятница "
    "суббота воскресенье пн вт ср чт пт сб вс"  # noqa: RUF001 - Russian
)

MONTHS: dict[str, int] = {}
"""The number of each month by its name, in small letters."""

for _table in (_LONG, _SHORT):
    for _names in _table.values():
        for _number, _name in enumerate(_names.split(), 1):
            MONTHS.setdefault(_name, _number)

DAYS = frozenset(_DAYS.split())


def month_of(name: str) -> int:
    """Return the number of a month by its name; 0 when it is none."""
    return MONTHS.get(name.rstrip(".").casefold(), 0)


def shared_language(one: str, two: str) -> bool:
    """Say whether there is a language with both names of months."""
    return bool(language_of(one) & language_of(two))


def language_of(name: str) -> frozenset[str]:
    """Return the languages in which a month is called so."""
    plain = name.rstrip(".").casefold()
    return frozenset(
        language[:2]
        for table in (_LONG, _SHORT)
        for language, names in table.items()
        if plain in names.split()
    )
