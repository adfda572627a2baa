"""Compare two to four networks on the same input, seed and time axis."""

from rnnviz.experiment import ComparePage
from rnnviz.ui.address import current
from rnnviz.ui.compare.cards import show_input, show_story, track_step, write_view
from rnnviz.ui.compare.controls import input_comparison
from rnnviz.ui.compare.sections import input_part
from rnnviz.ui.frame import open_page, show_part
from rnnviz.ui.live_context import live
from rnnviz.ui.page_turn import page_turn

words = open_page("compare")
show_story()
settings = input_comparison(words, live("compare", current(ComparePage), write_view))
with page_turn(settings, words):
    show_part(show_input, settings, words)
    track_step()
    part = input_part(words)
    show_part(part, settings, words)
