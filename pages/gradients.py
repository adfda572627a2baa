"""Gradients through time: an RNN, an LSTM and a GRU on the same input, loss and seed."""

from functools import partial

import streamlit as st

from rnnviz.experiment import GradientsPage
from rnnviz.ui.address import current
from rnnviz.ui.frame import input_language, open_page, show_part
from rnnviz.ui.gradients.controls import input_network
from rnnviz.ui.gradients.norms import show_claim, show_contributions, show_norms
from rnnviz.ui.gradients.scenes import live_fields, show_scenes, write_view
from rnnviz.ui.gradients.stability import show_stability
from rnnviz.ui.gradients.story import show_story
from rnnviz.ui.gradients.weights import show_weights
from rnnviz.ui.live_context import live
from rnnviz.ui.page_turn import page_turn

words = open_page("gradients")
updates = live("gradients", current(GradientsPage), write_view, live_fields)
settings = input_network(words, updates)
input_language(words)
write_view(settings)
story = st.container(key="story")
show_scenes(settings, words)
with page_turn(settings, words):
    with story:
        show_part(show_story, settings, words)
    if settings.claim:
        show_part(show_claim, settings, words)
    show_weights_live = partial(show_weights, live=updates)
    for part in (show_norms, show_weights_live, show_stability, show_contributions):
        show_part(part, settings, words)
