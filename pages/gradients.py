"""Gradients through time: an RNN, an LSTM and a GRU on the same input, loss and seed."""

from functools import partial

from rnnviz.experiment import NetworkSettings
from rnnviz.ui.frame import input_language, live, open_page, show_part, write_address
from rnnviz.ui.gradients.controls import input_network
from rnnviz.ui.gradients.norms import show_claim, show_contributions, show_norms
from rnnviz.ui.gradients.scenes import moved_alone, show_scenes
from rnnviz.ui.gradients.stability import show_stability
from rnnviz.ui.gradients.weights import show_weights

words = open_page("gradients")
write = partial(write_address, page=NetworkSettings)
followed = live("gradients", write, moved_alone)
settings = input_network(words, followed)
input_language(words)
write(settings)
show_scenes(settings, words)
if settings.claim:
    show_part(show_claim, settings, words)
for part in (show_norms, partial(show_weights, live=followed), show_stability, show_contributions):
    show_part(part, settings, words)
