"""The first two rows of the gradients page: what is dragged stands beside the gradient."""

from functools import partial

import streamlit as st

from rnnviz.experiment import MOST_EDITED, GradientsPage
from rnnviz.locale import Labels
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.frame import show_part
from rnnviz.ui.gradients.norms import show_norms, show_verdicts
from rnnviz.ui.gradients.weights import show_eigenvalues, show_weights


def show_overview(settings: GradientsPage, words: Labels, live: Live) -> None:
    """Draws the norms, verdicts, weights and eigenvalues; weights to edit beside the norms.

    live: what updates while a weight is dragged.
    """
    weights = partial(show_weights, live=live)
    if settings.hidden <= MOST_EDITED:
        share, beside, below = 0.56, weights, show_verdicts
    else:
        share, beside, below = 0.64, show_verdicts, weights
    with st.container(key="cards_norms"):
        left, right = st.columns([share, 1 - share], gap="small")
    with left:
        show_part(show_norms, settings, words)
    with right:
        show_part(beside, settings, words)
    with st.container(key="cards_weights"):
        left, right = st.columns(2, gap="small")
    with left:
        show_part(below, settings, words)
    with right:
        show_part(show_eigenvalues, settings, words)
