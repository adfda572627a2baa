"""The list of compared networks in the sidebar, and the names that the page gives them."""

import streamlit as st

from rnnviz.counting import count_parameters
from rnnviz.errors import RnnvizError
from rnnviz.experiment import ComparePage
from rnnviz.experiment.comparison_limits import sizes_of
from rnnviz.experiment.network_spec import (
    DEFAULT_NETWORKS,
    FORMS,
    MAX_LAYERS,
    MAX_NETWORKS,
    MIN_NETWORKS,
    TRAINED,
    NetworkSpec,
    keys_of,
)
from rnnviz.locale import Labels
from rnnviz.ui.address import current
from rnnviz.ui.cache import character_model
from rnnviz.ui.cards import note
from rnnviz.ui.session import session


def labels_of(settings: ComparePage, words: Labels) -> dict[str, str]:
    """The label of each network by its key; no two are the same."""
    labels: dict[str, str] = {}
    keys = keys_of(settings.networks)
    for place, (key, network) in enumerate(zip(keys, settings.networks, strict=True)):
        label = words[f"form.{network.form}"]
        if network.layers > 1:
            label = words("form.with_layers", form=label, layers=network.layers)
        if network.bidirectional:
            label = words("form.with_both", form=label)
        earlier = settings.networks[:place].count(network)
        labels[key] = words("form.again", form=label, n=earlier + 1) if earlier else label
    return labels


def input_networks(words: Labels) -> None:
    """Draws one row per network. The rows' widgets show and change ``state.networks``."""
    state = st.session_state
    networks: tuple[NetworkSpec, ...] = state.networks
    sizes = _sizes(words)
    for place, network in enumerate(networks):
        with st.container(key=f"network_{place}"):
            _input_form(place, network, words)
            if state.input_source == "signal":
                _input_shape(place, network, words)
            if sizes:
                note(sizes[place])
    most = len(TRAINED) if state.input_source == "text" else MAX_NETWORKS
    if len(networks) < most:
        st.button(
            words["control.add_network"],
            key="add_network",
            icon=":material/add:",
            on_click=_add,
            width="stretch",
        )


def change_input_source() -> None:
    """Replaces untrained networks for a text, which only shipped models read; restores them."""
    state = st.session_state
    if state.input_source == "signal":
        state.networks = session.untrained_networks or state.networks
        session.untrained_networks = ()
        return
    session.untrained_networks = state.networks
    cells = list(dict.fromkeys(FORMS[network.form].cell for network in state.networks))
    trained = [network for network in DEFAULT_NETWORKS if network.form in cells]
    others = [network for network in DEFAULT_NETWORKS if network not in trained]
    trained.sort(key=lambda network: cells.index(network.form))
    state.networks = tuple([*trained, *others][: max(MIN_NETWORKS, len(trained))])


def _input_form(place: int, network: NetworkSpec, words: Labels) -> None:
    """The network's form, and the button that removes it."""
    state = st.session_state
    names: list[str] = list(FORMS)
    if state.input_source == "text":
        taken = {other.form for other in state.networks} - {network.form}
        names = [name for name in TRAINED if name not in taken]
    state[f"form_{place}"] = network.form
    with st.container(horizontal=True, gap="xxsmall", vertical_alignment="center"):
        st.selectbox(
            words("control.form", n=place + 1),
            names,
            format_func=lambda name: words[f"form.{name}"],
            key=f"form_{place}",
            label_visibility="collapsed",
            on_change=_change,
            args=(place,),
        )
        st.button(
            words("control.remove_network", n=place + 1),  # frame.css hides it: the icon's name
            key=f"remove_{place}",
            icon=":material/close:",
            help=words("control.remove_network", n=place + 1),
            on_click=_remove,
            args=(place,),
            disabled=len(state.networks) <= MIN_NETWORKS,
            type="tertiary",
        )


def _input_shape(place: int, network: NetworkSpec, words: Labels) -> None:
    """The layers and directions of an untrained network."""
    state = st.session_state
    state[f"layers_{place}"] = network.layers
    state[f"bidirectional_{place}"] = network.bidirectional
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.selectbox(
            words("control.layers", n=place + 1),
            range(1, MAX_LAYERS + 1),
            format_func=lambda n: _layers(n, words),
            key=f"layers_{place}",
            label_visibility="collapsed",
            width=96,
            on_change=_change,
            args=(place,),
        )
        st.toggle(
            words["control.both"],
            key=f"bidirectional_{place}",
            on_change=_change,
            args=(place,),
        )


def _layers(n: int, words: Labels) -> str:
    return words["control.one_layer"] if n == 1 else words("control.layers_option", n=n)


def _sizes(words: Labels) -> list[str]:
    """A text on the size of each network; none where the budget is too small."""
    settings = current(ComparePage)
    if settings.input_source == "text":
        texts: list[str] = []
        for network in settings.networks:
            notes = character_model(network.form).notes
            bits, units = notes["bits_per_character"], notes["hidden_size"]
            texts.append(words("control.trained_size", units=units, bits=bits))
        return texts
    try:
        sizes = sizes_of(settings).values()
    except RnnvizError:  # shown in place of the figures
        return []
    return [
        words("control.size", hidden=size.hidden_size, parameters=count_parameters(size))
        for size in sizes
    ]


def _change(place: int) -> None:
    state = st.session_state
    networks = list(state.networks)
    if state.input_source == "text":
        networks[place] = NetworkSpec(state[f"form_{place}"])
    else:
        shape = state[f"layers_{place}"], state[f"bidirectional_{place}"]
        networks[place] = NetworkSpec(state[f"form_{place}"], *shape)
    state.networks = tuple(networks)


def _remove(place: int) -> None:
    networks = st.session_state.networks
    if len(networks) > MIN_NETWORKS:
        st.session_state.networks = (*networks[:place], *networks[place + 1 :])


def _add() -> None:
    """Adds the first form that is not in the list."""
    networks = st.session_state.networks
    taken = {network.form for network in networks}
    form = next((name for name in (*TRAINED, *FORMS) if name not in taken), TRAINED[0])
    if len(networks) < MAX_NETWORKS:
        st.session_state.networks = (*networks, NetworkSpec(form))  # pyright: ignore[reportArgumentType]  # a name of FORMS
