"""The words of the program, in English and Korean: a folder of gettext catalogs a language.

A message is named by a key ("error.empty_text"), never by its English text, so that an English
sentence can be mended without touching the Korean one. The .po files are read as they are, all of
a folder as one; a key is in one of them only.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files

LANGUAGES = {"en": "English", "ko": "한국어"}


class Labels(Mapping[str, str]):
    """One language's texts by key; calling it fills a text's {names} with values."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language, self._texts = language, dict(texts)

    def __call__(self, key: str, **values: object) -> str:
        return self._texts[key].format(**values)

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


@lru_cache(maxsize=len(LANGUAGES))  # the files never change while the program runs
def labels(language: str) -> Labels:
    """All texts of a language, "en" or "ko".

    An unknown language or key raises LookupError.

    >>> labels("en")["gate.forget_gate"], labels("ko")["gate.forget_gate"]
    ('forget gate', '망각 게이트')
    """
    if language not in LANGUAGES:
        raise LookupError(f"No texts for language {language!r}; there are {', '.join(LANGUAGES)}.")
    from babel.messages.pofile import read_po

    texts: dict[str, str] = {}
    folder = files(__name__).joinpath(language)
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.endswith(".po"):
            with path.open("rb") as file:
                catalog = read_po(file, locale=language)
            texts |= {str(message.id): str(message.string) for message in catalog if message.id}
    return Labels(language, texts)
