"""All texts in English and Korean: one folder of gettext catalogs per language.

Messages have keys ("error.empty_text") rather than their English text as ids, so that an English
sentence can be changed without touching the Korean one. The .po files are read directly, without
compilation; all files of a folder form one catalog, and each key is in only one of them.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files

from rnnviz.locale.numbers import Number

LANGUAGES = {"en": "English", "ko": "한국어"}


class Labels(Mapping[str, str]):
    """One language's texts by key; calling it fills a text's {names} with values.

    >>> print(labels("en")("verdict.halves", steps=0.004))
    Going back, the gradient halves every 0.004 steps.
    """

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language, self._texts = language, dict(texts)

    def __call__(self, key: str, **values: object) -> str:
        written = {n: Number(v) if isinstance(v, float) else v for n, v in values.items()}
        return self._texts[key].format(**written)

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
