"""What the glossary's script shows, in every language."""

from typing import Any

from rnnviz.glossary import TERMS
from rnnviz.locale import LANGUAGES, Labels, labels
from rnnviz.ui.pages import PAGES

Entry = dict[str, Any]


def glossary_content() -> dict[str, dict[str, Any]]:
    """By language: the texts around an explanation, and the explanations by term."""
    return {language: _content(labels(language)) for language in LANGUAGES}


def _content(words: Labels) -> dict[str, Any]:
    return {
        "symbol": words["glossary.symbol"],
        "shape": words["glossary.shape"],
        "terms": {term: _entry(term, words) for term in TERMS},
    }


def _entry(term: str, words: Labels) -> Entry:
    """page: the end of the address of the page where the term changes."""
    symbol, shape, page, query = TERMS[term]
    name = words[f"glossary.{term}.names"].split("|")[0]
    return {
        "name": name[0].upper() + name[1:],
        "says": words[f"glossary.{term}.says"],
        "symbol": symbol,
        "shape": words[f"glossary.shapes.{shape}"] if shape else "",
        "see": words("glossary.see", page=words[f"page.{page}.menu"]),
        "page": "" if page == next(iter(PAGES)) else page,
        "query": {**query, "language": words.language},
    }
