"""The comparison page's choices: which networks, of what size, and what they read."""

from collections.abc import Callable
from typing import Any, get_args

import streamlit as st

from rnnviz.counting import count_parameters
from rnnviz.errors import RnnvizError
from rnnviz.experiment import (
    MOST_CHARACTERS,
    EqualName,
    InputName,
    LossName,
    Settings,
    limits_of,
)
from rnnviz.experiment.compared_network import (
    FEWEST,
    FIRST_NETWORKS,
    FORMS,
    MOST,
    MOST_LAYERS,
    TRAINED,
    Compared,
    keys_of,
)
from rnnviz.experiment.comparison import MOST_SECONDS, seconds_of, sizes_of
from rnnviz.inputs.signals import SIGNALS
from rnnviz.locale import Labels
from rnnviz.ui.cache import character_model
from rnnviz.ui.cards import note
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.slider import input_slider
from rnnviz.ui.frame import current
from rnnviz.ui.step.controls import check_text

BUDGETS = [n * 10**e for e in (1, 2, 3, 4) for n in (1, 1.5, 2, 3, 4, 5, 7) if n * 10**e <= 60_000]


def input_comparison(words: Labels, live: Live) -> Settings:
    """The sidebar's choices and, where it is read, the text; the settings as they now stand.

    live: the page that is updated while a slider is dragged.
    """
    state = st.session_state
    with st.sidebar:
        _choose("reads", get_args(InputName), words, "reads_help", on_change=_follow_input)
        st.markdown(f"**{words['control.networks']}**", help=_help_of_networks(words))
        _input_networks(words)
        if state.reads == "signal":
            _input_sizes(words, live)
        _choose("loss", get_args(LossName), words, "compared_loss_help")
    if state.reads == "text":
        st.text_area(words("control.text", most=MOST_CHARACTERS), key="text", height=92)
        with st.container(key="text_error"):
            check_text(words)
    settings = current()
    state.t = min(state.t, settings.steps)
    return current()


def input_network(
    settings: Settings, words: Labels, on_change: Callable[[], None] | None = None
) -> None:
    """Which of the networks a section takes alone."""
    names = labels_of(settings, words)
    if st.session_state.looked_at not in names:
        st.session_state.looked_at = next(iter(names))
    st.segmented_control(
        words["control.looked_at"],
        list(names),
        format_func=names.__getitem__,
        key="looked_at",
        required=True,
        on_change=on_change,
    )


def labels_of(settings: Settings, words: Labels) -> dict[str, str]:
    """What each network is called on the page, by its key; no two are called the same."""
    found: dict[str, str] = {}
    keys = keys_of(settings.networks)
    for place, (key, network) in enumerate(zip(keys, settings.networks, strict=True)):
        label = words[f"form.{network.form}"]
        if network.layers > 1:
            label = words("form.with_layers", form=label, layers=network.layers)
        if network.both:
            label = words("form.with_both", form=label)
        again = settings.networks[:place].count(network)
        found[key] = words("form.again", form=label, n=again + 1) if again else label
    return found


def _input_networks(words: Labels) -> None:
    """A row a network; what they hold is in ``state.networks``, from which they are drawn."""
    state = st.session_state
    networks: tuple[Compared, ...] = state.networks
    said = _said(words)
    for place, network in enumerate(networks):
        with st.container(key=f"network_{place}"):
            _input_network(place, network, words)
            if said:
                note(said[place])
    most = len(TRAINED) if state.reads == "text" else MOST
    if len(networks) < most:
        st.button(
            words["control.add_network"],
            key="add_network",
            icon=":material/add:",
            on_click=_add,
            width="stretch",
        )


def _input_network(place: int, network: Compared, words: Labels) -> None:
    state = st.session_state
    fresh = state.reads == "signal"
    names: list[str] = list(FORMS)
    if not fresh:
        taken = {other.form for other in state.networks} - {network.form}
        names = [name for name in TRAINED if name not in taken]
    state[f"form_{place}"], state[f"both_{place}"] = network.form, network.both
    state[f"layers_{place}"] = network.layers
    number = {"n": place + 1}
    with st.container(horizontal=True, gap="xxsmall", vertical_alignment="center"):
        st.selectbox(
            words("control.form", **number),
            names,
            format_func=lambda name: words[f"form.{name}"],
            key=f"form_{place}",
            label_visibility="collapsed",
            on_change=_change,
            args=(place,),
        )
        st.button(
            "",
            key=f"remove_{place}",
            icon=":material/close:",
            help=words("control.remove_network", **number),
            on_click=_remove,
            args=(place,),
            disabled=len(state.networks) <= FEWEST,
            type="tertiary",
        )
    if not fresh:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.selectbox(
            words("control.layers", **number),
            range(1, MOST_LAYERS + 1),
            format_func=lambda n: _layers(n, words),
            key=f"layers_{place}",
            label_visibility="collapsed",
            width=96,
            on_change=_change,
            args=(place,),
        )
        st.toggle(
            words["control.both"],
            key=f"both_{place}",
            on_change=_change,
            args=(place,),
        )


def _help_of_networks(words: Labels) -> str | None:
    return words["control.both_help"] if st.session_state.reads == "signal" else None


def _layers(n: int, words: Labels) -> str:
    return words["control.one_layer"] if n == 1 else words("control.layers_option", n=n)


def _said(words: Labels) -> list[str]:
    """The size of each network; none where the budget allows none."""
    settings = current()
    if settings.reads == "text":
        found: list[str] = []
        for network in settings.networks:
            notes = character_model(network.form).notes
            bits, units = notes["bits_per_character"], notes["hidden_size"]
            found.append(words("control.trained_size", units=units, bits=bits))
        return found
    try:
        sizes = sizes_of(settings).values()
    except RnnvizError:  # said in the place of the figures
        return []
    return [
        words("control.size", hidden=size.hidden_size, parameters=count_parameters(size))
        for size in sizes
    ]


def _input_sizes(words: Labels, live: Live) -> None:
    """What fresh networks are made of, and what they read."""
    _choose("equal", get_args(EqualName), words, "equal_help")
    if st.session_state.equal == "hidden":
        low, high = map(int, limits_of("hidden"))
        _slide("hidden", range(low, high + 1), words, "compared_hidden_help", live)
    else:
        _slide("budget", list(map(int, BUDGETS)), words, "budget_help", live)
    low, high = map(int, limits_of("length"))
    _slide("length", range(low, high + 1), words, "length_help", live)
    try:
        seconds = seconds_of(current())
        note(words("control.compared_work", seconds=max(seconds, 0.1), most=MOST_SECONDS))
    except RnnvizError:  # said in the place of the figures
        pass
    st.selectbox(
        words["control.signal"],
        SIGNALS,
        format_func=lambda name: words[f"signal.{name}"],
        key="signal",
        help=words["control.compared_signal_help"],
    )
    low, high = map(int, limits_of("seed"))
    seed = words["control.compared_seed_help"]
    st.number_input(words["control.seed"], low, high, step=1, key="seed", help=seed)


def _choose(
    key: str, options: tuple[str, ...], words: Labels, help: str, on_change: Any = None
) -> None:
    st.segmented_control(
        words[f"control.{key}"],
        options,
        format_func=lambda option: words[f"{key}.{option}"],
        key=key,
        required=True,
        width="stretch",
        help=words[f"control.{help}"],
        on_change=on_change,
    )


def _slide(key: str, notches: Any, words: Labels, help: str, live: Live) -> None:
    input_slider(
        words[f"control.{key}"],
        key=key,
        options=notches,
        format="{:,}".format,
        help=words[f"control.{help}"],
        live=live,
    )


def _change(place: int) -> None:
    state = st.session_state
    now = list(state.networks)
    now[place] = Compared(
        state[f"form_{place}"],
        state.get(f"layers_{place}", 1) if state.reads == "signal" else 1,
        state.get(f"both_{place}", False) if state.reads == "signal" else False,
    )
    state.networks = tuple(now)


def _remove(place: int) -> None:
    networks = st.session_state.networks
    if len(networks) > FEWEST:
        st.session_state.networks = (*networks[:place], *networks[place + 1 :])


def _add() -> None:
    """The first form that is not there yet."""
    networks = st.session_state.networks
    taken = {network.form for network in networks}
    first = next((name for name in (*TRAINED, *FORMS) if name not in taken), TRAINED[0])
    if len(networks) < MOST:
        st.session_state.networks = (*networks, Compared(first))  # pyright: ignore[reportArgumentType]  # a name of FORMS


def _follow_input() -> None:
    """A text is read by trained models alone; the fresh networks wait until a signal is read."""
    state = st.session_state
    if state.reads == "signal":
        state.networks = state.pop("fresh_networks", state.networks)
        return
    state.fresh_networks = state.networks
    cells = dict.fromkeys(FORMS[network.form].cell for network in state.networks)
    trained = [network for network in FIRST_NETWORKS if network.form in cells]
    rest = [network for network in FIRST_NETWORKS if network not in trained]
    trained.sort(key=lambda network: list(cells).index(network.form))
    state.networks = tuple([*trained, *rest][: max(FEWEST, len(trained))])
