"""The pages of the app. To add a page: one entry here, its script in ``pages/``, its texts.

The menu, the address, the session and the live updates take a page's settings from this table.
"""

from typing import Any, NamedTuple

from rnnviz.experiment import ComparePage, GradientsPage, PageSettings, StepPage
from rnnviz.experiment.settings import FIRST_VIEW


class Page(NamedTuple):
    """A page's settings, whose field names are its widgets' keys, and its icon in the menu."""

    settings: type[PageSettings]
    icon: str


# By the name of the script, in the order of the menu; the first page is /.
PAGES: dict[str, Page] = {
    "step": Page(StepPage, ":material/skip_next:"),
    "gradients": Page(GradientsPage, ":material/trending_down:"),
    "compare": Page(ComparePage, ":material/view_column:"),
}


def default_values() -> dict[str, Any]:
    """What all pages' fields have at first. Pages that have a field of one name share its value."""
    return {
        name: FIRST_VIEW.get(name, field.default)
        for page in PAGES.values()
        for name, field in page.settings.model_fields.items()
    }
