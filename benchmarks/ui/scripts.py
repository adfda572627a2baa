"""JavaScript that the benchmarks run in the page."""

MAIN = "figure_gradient_norms"

RECORD = """() => {
    window.painted = {};
    const pressed = (event) => { window.painted = {at: event.timeStamp}; };
    document.addEventListener("keydown", pressed, true);
    const note = (part) => requestAnimationFrame(() => {
        const took = performance.now() - window.painted.at;
        const { top, bottom } = part.getBoundingClientRect();
        window.painted.any = took;
        if (bottom > 0 && top < innerHeight) window.painted.sight = took;
        if (part.closest(".st-key-MAIN") && !window.painted.first) window.painted.first = took;
    });
    for (const plot of document.querySelectorAll(".js-plotly-plot"))
        plot.on("plotly_afterplot", () => note(plot));
    const floor = document.querySelector(".floor") ? ".stMain" : "[aria-live=polite]";
    const what = {subtree: true, childList: true, characterData: true};
    for (const part of document.querySelectorAll(floor))
        new MutationObserver(() => note(part)).observe(part, what);
}""".replace("MAIN", MAIN)

STEP = """() => {
    window.painted = {};
    const pressed = (event) => { window.painted = {at: event.timeStamp}; };
    document.addEventListener("keydown", pressed, true);
    const note = () => requestAnimationFrame(() => {
        window.painted.any ??= performance.now() - window.painted.at;
    });
    const what = {subtree: true, childList: true, characterData: true};
    new MutationObserver(note).observe(document.querySelector(".player .rnnviz-count"), what);
}"""

# Frame times while a text is played, the steps that the counter went forward, and the number of
# cards that changed at each of them, but for the first or last.
PLAY = """async (seconds) => {
    const all = [...document.querySelectorAll("[class*=st-key-card_]")];
    const changes = new Map(all.map((card) => [card, new Set()]));
    const watch = new MutationObserver((found) => {
        for (const { target } of found)
            changes.get(target.closest("[class*=st-key-card_]"))?.add(count());
    });
    const what = {subtree: true, childList: true, attributes: true};
    for (const card of all) watch.observe(card, what);
    const counter = document.querySelector(".player .rnnviz-count");
    const count = () => parseInt(counter.textContent.match(/\\d+/)[0]);
    const times = [];
    let going = true;
    const look = (now) => {
        times.push(now);
        if (going) requestAnimationFrame(look);
    };
    const first = count();
    document.querySelector("[data-do=play]").click();
    requestAnimationFrame(look);
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    going = false;
    const last = count();
    watch.disconnect();
    document.querySelector("[data-do=play]").click();
    const steps = last - first;
    const moved = all.filter((card) => changes.get(card).size >= steps - 1);
    return {frames: times.slice(1).map((time, k) => time - times[k]), steps,
            moved: moved.length, cards: all.length};
}"""

COMPARED = """() => {
    const plot = document.querySelector(".st-key-figure_comparison .js-plotly-plot");
    window.compared = {at: performance.now()};
    const drawn = () => plot._fullData.find((part) => part.z)?.z[0].length === 200;
    plot.on("plotly_afterplot", () => requestAnimationFrame(() => requestAnimationFrame(() => {
        if (drawn()) window.compared.took ??= performance.now() - window.compared.at;
    })));
}"""

DRAG = """async () => {
    const input = document.querySelector(".st-key-gain [data-testid=stBidiComponentIsolated]")
        .shadowRoot.querySelector("input");
    const plot = document.querySelector(".st-key-MAIN .js-plotly-plot");
    let updates = 0, blank = 0, frames = 0, going = true;
    const count = () => { updates += 1; };
    plot.on("plotly_afterplot", count);
    const look = () => {
        frames += 1;
        if (!plot.querySelector(".scatterlayer .js-line")) blank += 1;
        if (going) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    const first = input.valueAsNumber;
    input.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true, button: 0}));
    const begun = performance.now();
    for (let k = 1; performance.now() - begun < 4000; k++) {
        input.value = first + 1 + (k % 60);
        input.dispatchEvent(new Event("input", {bubbles: true}));
        await new Promise((done) => setTimeout(done, 10));
    }
    const took = (performance.now() - begun) / 1000;
    going = false;
    plot.removeListener("plotly_afterplot", count);
    window.dispatchEvent(new PointerEvent("pointerup"));
    return {rate: updates / took, blank, frames};
}""".replace("MAIN", MAIN)
