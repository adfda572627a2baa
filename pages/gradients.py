"""Gradients through time: an RNN, an LSTM and a GRU on the same input, loss and seed."""

import streamlit as st

from rnnviz.experiment import GradientsPage
from rnnviz.ui.address import current
from rnnviz.ui.frame import open_page, show_part
from rnnviz.ui.gradients.controls import input_network
from rnnviz.ui.gradients.norms import show_claim, show_contributions
from rnnviz.ui.gradients.overview import show_overview
from rnnviz.ui.gradients.scenes import live_fields, show_scenes, write_view
from rnnviz.ui.gradients.stability import show_stability
from rnnviz.ui.gradients.story import show_story
from rnnviz.ui.live_context import live
from rnnviz.ui.page_turn import page_turn

words = open_page("gradients")
updates = live("gradients", current(GradientsPage), write_view, live_fields)
settings = input_network(words, updates)
write_view(settings)
story = st.container(key="story")
show_scenes(settings, words)
with page_turn(settings, words):
    with story:
        show_part(show_story, settings, words)
    if settings.claim:
        show_part(show_claim, settings, words)
    show_overview(settings, words, updates)
    show_part(show_stability, settings, words)
    show_part(show_contributions, settings, words)
