"""Step through a text with a trained network: every gate, state and term at every step."""

from rnnviz.errors import RnnvizError
from rnnviz.ui.frame import open_page, show_error
from rnnviz.ui.page_turn import page_turn
from rnnviz.ui.step.cards import show_heatmaps, show_reading, show_story, show_unit, step_through
from rnnviz.ui.step.controls import input_reading

words = open_page("step")
show_story()
settings = input_reading(words)
try:
    with page_turn(settings, words):
        show_reading(settings, words)
        step_through(words)
        show_unit(settings, words)
        show_heatmaps(settings, words)
except RnnvizError as error:
    show_error(error, words)
