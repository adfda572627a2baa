"""Links to example texts, each with the unit and the step to look at."""

from typing import Any

import streamlit as st

from rnnviz.experiment import EXAMPLES, ComparePage, StepPage
from rnnviz.locale import Labels
from rnnviz.ui.address import LINK, current, query_of
from rnnviz.ui.cache import watched
from rnnviz.ui.pages import PAGES
from rnnviz.ui.session import session


def show_examples(words: Labels) -> None:
    """Draws a link per example to the present page, which is one that reads texts."""
    page = session.page or next(iter(PAGES))
    shown = shown_example(page)
    with st.container(horizontal=True, gap="xxsmall", key="examples"):
        st.html(f"<p class='rnnviz-note'>{words['examples.label']}</p>", width="content")
        for name in EXAMPLES:
            with st.container(key=f"example_{name}", width="content"):
                st.page_link(
                    f"pages/{page}.py",
                    label=words[f"example.{name}"],
                    query_params=example_query(name, page),
                )
        # always drawn: Streamlit identifies a fragment by what precedes it
        mark = f".st-key-example_{shown} a {{--on: var(--rnnviz-selected)}}"
        st.html(f"<style>{mark if shown else ''}</style>")


def example_query(name: str, page: str) -> dict[str, str]:
    """The query of a link to an example; all that it does not set stays as it is.

    The unit is not in it: it is the first of the order, which the page selects by itself.
    """
    example, settings = EXAMPLES[name], current(PAGES[page].settings)
    cell = settings.cell if isinstance(settings, StepPage) else "lstm"
    values: dict[str, Any] = {"text": example.text, "t": watched(cell)[name].t}
    if isinstance(settings, ComparePage):
        values["input_source"] = "text"
    else:
        values |= {"order": example.order, "unit": None, "gate": None}
    return {**query_of(settings.model_copy(update=values)), LINK: name}


def shown_example(page: str) -> str | None:
    """The example whose text, and whose order of units, the page shows."""
    settings = current(PAGES[page].settings)
    for name, example in EXAMPLES.items():
        order = getattr(settings, "order", example.order)
        if (session.last_text, order) == example:
            return name
    return None
