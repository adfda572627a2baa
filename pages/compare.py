"""Side by side: two to four networks on the same input, seed and time axis."""

from rnnviz.ui.compare.cards import follow_step, show_input, write_place
from rnnviz.ui.compare.controls import input_comparison
from rnnviz.ui.compare.sections import input_part
from rnnviz.ui.frame import input_language, live, open_page, show_part

words = open_page("compare")
settings = input_comparison(words, live("compare", write_place))
input_language(words)
show_part(show_input, settings, words)
follow_step()
part = input_part(words)
show_part(part, settings, words)
