"""What looks like personal data in a sheet: names of columns, and shapes of values.

No message quotes a name or a value: a finding would else carry into the log what it is to keep out of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from cartox.columns import SAMPLES
from cartox.sheets import Faults, Table

UNCHECKED = ("path", "raw_path", "value", "unit", "lloq", "uloq")

# Whole words of a column's name, without accents: English, German, French, Spanish, Italian, Portuguese,
# Dutch
PERSONAL = frozenset(
    """
    surname forename firstname lastname fullname initials dob birth birthdate birthday mrn ssn nhs
    address street postcode postal zip zipcode phone telephone email passport nachname vorname
    geburtsdatum geburtstag adresse anschrift strasse plz telefon telefonnummer prenom naissance
    courriel apellido apellidos nacimiento direccion correo telefono cognome nascita indirizzo
    sobrenome nascimento endereco achternaam voornaam geboortedatum adres postcodes
    """.split()
)
NAME = frozenset(("name", "names", "nom", "nombre", "nome", "naam"))
WHOSE = frozenset(
    """
    first last full family given middle maiden patient subject person mother father
    """.split()
)
NOT_PERSONAL = frozenset(("weight", "order", "mode", "length", "gestation"))
AGE = frozenset(("age", "alter", "edad", "leeftijd", "eta", "idade"))
SMALLER_THAN_YEARS = frozenset(["day", "days", "week", "weeks", "month", "months", "hour", "hours"])
OLDEST = 89

YEAR, MONTH, DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
MONTHS = r"(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*"
DATE = re.compile(
    rf"(?<!\d){YEAR}([-./_]){MONTH}\1{DAY}(?!\d)"
    rf"|(?<!\d)(?:{DAY}([-./_]){MONTH}\2|{MONTH}([-./_]){DAY}\3){YEAR}(?!\d)"
    # years of two digits: '/' alone, and '.' where it is the whole value, as codes have dashes
    rf"|(?<![\d/])(?:{DAY}/{MONTH}|{MONTH}/{DAY})/\d\d(?![\d/])|^{DAY}\.{MONTH}\.\d\d$"
    rf"|(?<!\d){DAY}[-_ .]*{MONTHS}[-_ .,]*{YEAR}(?!\d)|(?<!\d){DAY}[-_ .]{MONTHS}[-_ .]\d\d(?!\d)"
    rf"|\b{MONTHS}[-_ .]*{DAY}[-_ ,.]+{YEAR}(?!\d)",
    re.IGNORECASE,
)
COMPACT = re.compile(r"(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
PHONE = re.compile(
    r"^(?:\+\d[\d ().-]{6,}\d|\(?[2-9]\d\d\)?[-. ][2-9]\d\d[-. ]\d{4}|\(?0\d{1,4}\)?(?:[ /-]\d{2,}){2,})$"
)
SECURITY = re.compile(r"^(?!000|666|9)\d{3}[- ]\d\d[- ]\d{4}$")
WORD = r"[^\W\d_]['’]?[^\W\d_]+"
COMMA_NAME = re.compile(rf"^{WORD}(?:[ -]{WORD})?, ?{WORD}(?: [^\W\d_]\.?)?$")
TWO_WORDS = re.compile(rf"^({WORD})[ _.-]({WORD})$")
CODE_WORDS = frozenset(
    """
    patient patients donor donors subject participant volunteer control controls healthy case pool
    pooled healthydonor adult child pediatric paediatric human mouse male female normal tumor tumour
    bone marrow cord blood product sample reference responder batch lane cohort arm group site one
    two three four five six seven eight nine ten
    """.split()
)

DATES = "a date", "give the study day instead, such as D7"
EMAILS = "an e-mail address", "give a code instead"
PHONES = "a telephone number", "give a code instead"
NUMBERS = "a social security number", "give a code instead"
NAMES = "a person's name", "give a code instead"


def words(name: str) -> list[str]:
    """Words of a column's name: small letters, no accents, parted at anything else and at capitals."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    plain = unicodedata.normalize("NFKD", parted.replace("ß", "ss"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.findall(r"[a-z]+", plain.lower())


def personal_name(column: str) -> bool:
    """Whether a column's name says that it holds what identifies a person."""
    parts = words(column)
    named = set(parts)
    if NOT_PERSONAL & named:
        return False
    return bool(named & PERSONAL) or bool(named & NAME and (len(parts) == 1 or named & WHOSE))


def shape(value: str) -> tuple[str, str] | None:
    """What a value looks like and what to do, or None; names of people are found by `in_id` alone."""
    for pattern, found in ((EMAIL, EMAILS), (DATE, DATES), (SECURITY, NUMBERS), (PHONE, PHONES)):
        if pattern.search(value):
            return found
    return None


def in_id(value: str, column: str) -> tuple[str, str] | None:
    """The same for a name of a sample, patient, time point or batch, where people's names are found too.

    'Forename_Surname' is looked for among patients alone: elsewhere it is as likely to be 'Bone_Marrow'.
    """
    if found := shape(value):
        return found
    if COMMA_NAME.match(value):
        return NAMES
    pair = TWO_WORDS.match(value)
    if pair and (column == "patient" or (column == "sample" and " " in value)):
        capital = all(word[0].isupper() for word in pair.groups())
        if capital and not CODE_WORDS & {word.lower() for word in pair.groups()}:
            return NAMES
    return None


@dataclass
class Personal:
    """Finds personal data in the sheets; what is refused is hidden, so that no later fault quotes it.

    asked: columns that a question or parameter names. hidden: value → what stands for it, in all sheets.
    """

    asked: Collection[str]
    faults: Faults
    hidden: dict[str, str] = field(default_factory=dict)

    def check(self, table: Table, rules: dict[str, Any]) -> None:
        """A fault for each value in a column that is used, a warning by position for columns left out."""
        known = rules["items"]["properties"]
        for position, column in enumerate(table.columns, 1):
            if column in UNCHECKED and column in known:
                continue
            if column in known or column in self.asked:
                self._used(table, column, position, column in known)
            elif what := _looks_like(table, column):
                told = f"column {position} looks like personal data ({what}) and is left out"
                self.faults.warn(table.name, f"{told}; better remove it from the sheet", 1)

    def hide_where(self, items: list[Any]) -> None:
        """Let no fault of a question quote a value that was refused in a sheet."""
        for item in items:
            where = item.get("where") if isinstance(item, dict) else None
            if not isinstance(where, dict):
                continue
            for column, values in where.items():
                if isinstance(values, str):
                    where[column] = self.hidden.get(values, values)
                elif isinstance(values, list):
                    where[column] = [self.hidden.get(v, v) if isinstance(v, str) else v for v in values]

    def _used(self, table: Table, column: str, position: int, known: bool) -> None:
        if not known and personal_name(column):
            what = f"column {position} is asked for, but its name says that it identifies people"
            self.faults.add(table.name, f"{what}; ask for a column of codes or groups instead", 1)
        people = not known and _people(table.values(column))
        find: Callable[[str], tuple[str, str] | None] = (
            (lambda value: in_id(value, column)) if column in SAMPLES else shape
        )
        old, dates = [], []
        is_age = AGE & set(words(column)) and not SMALLER_THAN_YEARS & set(words(column))
        for number, row in table.numbered():
            value = row.get(column, "")
            found = NAMES if people and value else find(value)
            if found:
                what, advice = found
                self.faults.add(table.name, f"it looks like {what}; {advice}", number, column)
                row[column] = self.hidden.setdefault(value, f"hidden{len(self.hidden) + 1}")
            elif is_age and re.match(r"^\d+(\.\d+)?$", value) and float(value) > OLDEST:
                old.append(number)
            elif COMPACT.search(value):
                dates.append(number)
        for numbers, what in (
            (old, f"an age over {OLDEST} may identify a person; consider {OLDEST + 1} for all of them"),
            (dates, "it may hold a date; if so, give the study day or a code instead"),
        ):
            if numbers:
                more = f" (and {len(numbers) - 1} more rows)" if len(numbers) > 1 else ""
                self.faults.warn(table.name, what + more, numbers[0], column)


def _looks_like(table: Table, column: str) -> str:
    """What a column that is left out seems to hold, in words; nothing where it seems harmless."""
    if personal_name(column):
        return "by its name"
    values = table.values(column)
    if _people(values):
        return f"{NAMES[0]} by its shape"
    found = next((what for what in map(shape, values) if what), None)
    return f"{found[0]} by its shape" if found else ""


def _people(values: list[str]) -> bool:
    """Whether all values are as 'Surname, Forename' and differ, as no list of symptoms does."""
    return len(values) > 1 and len(set(values)) == len(values) and all(map(COMMA_NAME.match, values))
