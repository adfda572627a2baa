"""The explanations of terms, which appear where a term is pointed at, focused or tapped."""

from rnnviz.ui.components.script import served


def offer_glossary(language: str) -> None:
    """Mounts the glossary in a language, for all terms on the page."""
    served("glossary")(key="glossary", data={"language": language})
