// A Plotly figure on a div that stays: new figures go through Plotly.react, which redraws in place.
// Kept here and not left to Plotly alone: the zoom where an axis comes with another range, and the
// lines hidden in the legend where lines come and go. What is out of sight is drawn when the browser
// has nothing else to do, or when it comes into sight.

const instances = new WeakMap();
const waiting = new Set(); // charts without a Plotly to draw them
const PATIENCE = 20000; // milliseconds until it is asked for again
const IDLE = 1500; // milliseconds until what is out of sight is drawn in any case
let asked = -Infinity;

const CONFIG = {
  displaylogo: false,
  showSendToCloud: false, // Plotly would offer to take the figure to a server of its own
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
};

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const end = data.indexOf(10);
  const header = JSON.parse(text(data.subarray(0, end)));
  if (header.library) {
    run(text(data.subarray(end + 1)));
    return undefined;
  }
  let chart = instances.get(parentElement);
  if (!chart) {
    chart = new Chart(parentElement);
    instances.set(parentElement, chart);
  }
  chart.send = setTriggerValue;
  if (!same(chart.bytes, data)) chart.update(data, header, end);
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => chart.root.isConnected || chart.stop());
}

class Chart {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "rnnviz-chart";
    this.plot = document.createElement("div");
    this.plot.className = "rnnviz-chart-plot";
    this.plot.setAttribute("role", "img");
    this.message = document.createElement("p");
    this.message.className = "rnnviz-chart-failed";
    this.message.setAttribute("role", "status");
    this.message.hidden = true;
    this.root.append(this.plot, this.message);
    parent.appendChild(this.root);
    this.uids = new Map();
    this.forget();
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.root);
    this.sight = new IntersectionObserver((found) => {
      if (found.at(-1).isIntersecting && this.due) this.draw();
    });
    this.sight.observe(this.root);
    this.hears = (event) => this.heard(event);
    for (const name of HEARD) window.addEventListener(name, this.hears);
  }

  // What the reader has changed in the drawing.
  forget() {
    this.chosen = new Map(); // by line: {visible, base}, base being what Python had said
    this.zoomed = new Map(); // by axis: {range, autorange}
  }

  update(data, header, end) {
    this.bytes = data;
    this.figure = text(data.subarray(end + 1));
    if (!isNewest(header.key)) this.live = undefined;
    this.header = header;
    this.root.dataset.rnnvizLive = header.key;
    this.plot.setAttribute("aria-label", header.alt);
    this.message.textContent = header.failed;
    this.root.style.height = `${header.height}px`;
    this.show();
  }

  // At once, or in its turn among those in sight; out of sight when there is time.
  show({ atOnce = false } = {}) {
    this.root.classList.remove("rnnviz-chart-waits");
    giveUp(this.idle);
    this.due = true;
    if (atOnce) return this.draw();
    const { top, bottom } = this.root.getBoundingClientRect();
    if (bottom > 0 && top < innerHeight) lineUp(this);
    else this.idle = whenIdle(() => this.due && this.draw(), { timeout: IDLE });
  }

  // One at a time, the newest figure last; the ones between need not be drawn.
  async draw() {
    this.due = true;
    if (this.drawing) return;
    this.drawing = true;
    while (this.due && !this.stopped && this.room) {
      this.due = false;
      try {
        const Plotly = window.Plotly?.react ? window.Plotly : await library(this.header.chunk);
        if (this.stopped) return;
        if (!Plotly) {
          this.due = true;
          ask(this);
          break;
        }
        await this.react(Plotly);
      } catch (error) {
        this.fail(error);
      }
    }
    this.drawing = false;
  }

  // A slider that is dragged brings figures of its own, until the page's stands for the value.
  heard({ type, detail }) {
    const figure = detail?.[this.header.key];
    if (type === "rnnviz-live" && figure === undefined) return;
    // none: the figure shown is not of the value that is dragged
    if (figure === "") return this.root.classList.add("rnnviz-chart-waits");
    this.live = figure;
    this.show({ atOnce: Boolean(figure) });
  }

  async react(Plotly) {
    const written = this.live ?? this.figure;
    if (written === this.stands && this.width === this.room) return;
    const figure = JSON.parse(written);
    this.keep(figure);
    const now = apart(figure);
    if (this.listening && this.width === this.room) {
      const before = this.parts;
      this.parts = now;
      if (retouch(Plotly, this.plot, before, now)) {
        this.stands = written;
        return this.reset();
      }
    }
    this.parts = undefined; // until it is drawn
    this.width = this.room;
    Object.assign(figure.layout, { width: this.width, height: this.header.height, autosize: false });
    this.message.hidden = true;
    this.plot.hidden = false;
    const done = Plotly.react(this.plot, { ...figure, config: CONFIG });
    this.reset();
    await done;
    if (this.stopped) return Plotly.purge(this.plot);
    this.reset();
    this.stands = written;
    this.parts = now;
    if (!this.listening) {
      this.listening = true;
      this.plot.on("plotly_relayout", (change) => this.relayouted(change));
      this.plot.on("plotly_click", (event) => this.clicked(event));
    }
  }

  // Puts what the reader has changed into a figure that comes from Python.
  keep({ data, layout }) {
    for (const trace of this.plot.data || []) {
      const { base, given } = this.shown.get(trace.uid) || {};
      if (trace.visible !== given) this.chosen.set(trace.uid, { visible: trace.visible, base });
    }
    layout.uirevision ??= "kept";
    if (this.revision !== layout.uirevision) this.forget();
    this.revision = layout.uirevision;
    this.shown = new Map();
    const names = new Map();
    for (const trace of data) {
      const name = trace.meta ?? trace.uid ?? trace.name ?? "";
      const again = names.get(name) ?? 0;
      names.set(name, again + 1);
      trace.uid = this.uid(`${name} ${again}`);
      const base = trace.visible;
      const chosen = this.chosen.get(trace.uid);
      if (chosen && chosen.base !== base) this.chosen.delete(trace.uid);
      else if (chosen) trace.visible = chosen.visible;
      this.shown.set(trace.uid, { base, given: trace.visible });
      if (trace.type?.endsWith("gl") && !drawsGL()) trace.type = trace.type.slice(0, -2);
    }
    this.home = new Map();
    const axes = Object.keys(layout).filter((key) => AXIS.test(key));
    for (const name of new Set([...axes, ...this.zoomed.keys()])) {
      const { range, autorange } = (layout[name] ??= {});
      if (range === null) delete layout[name].range; // which Plotly takes for one to write into
      // a copy: Plotly writes into the figure's own
      this.home.set(name, { range: range?.includes(null) ? undefined : range?.slice(), autorange });
      if (this.zoomed.has(name)) Object.assign(layout[name], this.zoomed.get(name));
    }
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) delete layout.transition;
  }

  // Plotly writes it into selectors, so that it cannot be the name itself.
  uid(name) {
    if (!this.uids.has(name)) this.uids.set(name, `line${this.uids.size}`);
    return this.uids.get(name);
  }

  // A double click leads to the ranges that Python gave last, not to those it gave first.
  reset() {
    for (const [name, { range, autorange }] of this.home) {
      const axis = this.plot._fullLayout?.[name];
      if (!axis) continue;
      [axis._rangeInitial0, axis._rangeInitial1] = range || [];
      axis._autorangeInitial = range ? false : (autorange ?? true);
    }
  }

  relayouted(change) {
    const names = Object.keys(change).map((key) => RANGE.exec(key)?.[1]);
    for (const name of new Set(names.filter(Boolean))) {
      const axis = this.plot.layout[name];
      const home = this.home.get(name)?.range;
      const isHome = home ? !axis.autorange && same(home, axis.range) : axis.autorange;
      if (isHome) this.zoomed.delete(name);
      else if (axis.autorange) this.zoomed.set(name, { autorange: axis.autorange, range: undefined });
      else this.zoomed.set(name, { autorange: false, range: [...axis.range] });
    }
  }

  clicked(event) {
    const point = event.points[0];
    if (!this.header.clicks || !point) return;
    const { curveNumber: curve, x, y, customdata } = point;
    this.send("picked", { curve, x: plain(x), y: plain(y), customdata: plain(customdata) });
  }

  // The width there is. It is observed: to ask for it has the browser lay out all that was drawn.
  get room() {
    return this.observed ?? this.root.clientWidth;
  }

  resized() {
    const width = (this.observed = this.root.clientWidth);
    if (!width || width === this.width || this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.due || !this.listening) this.draw();
      else if (!this.drawing && this.room) {
        this.width = this.room;
        Promise.resolve(window.Plotly.relayout(this.plot, { width: this.width })).catch((error) => this.fail(error));
      }
    });
  }

  fail(reason) {
    console.error("rnnviz: a figure could not be drawn.", reason);
    window.Plotly?.purge(this.plot);
    this.listening = false;
    this.stands = undefined;
    this.plot.hidden = true;
    this.message.hidden = false;
  }

  stop() {
    this.stopped = true;
    this.observer.disconnect();
    this.sight.disconnect();
    giveUp(this.idle);
    for (const name of HEARD) window.removeEventListener(name, this.hears);
    cancelAnimationFrame(this.frame);
    waiting.delete(this);
    if (!this.drawing) window.Plotly?.purge(this.plot);
    this.bytes = this.figure = undefined;
  }
}

// Whether a live update of the last value is shown, which the page may not have yet.
function isNewest(key) {
  const { pending, shownAt, changes } = window.rnnvizPage ?? {};
  return Boolean(pending?.size) && shownAt.get(key) === changes;
}

// One a task, so that a newer figure of the first need not wait for all.
const line = new Set();
let moving;
function lineUp(chart) {
  line.add(chart);
  moving ??= setTimeout(() => {
    moving = undefined;
    const [first] = line;
    line.delete(first);
    if (first.due) first.draw();
    const [next] = line;
    if (next) lineUp(next);
  });
}

// Safari has no idle callbacks.
const whenIdle = window.requestIdleCallback ?? ((task) => setTimeout(task, 100));
const giveUp = window.cancelIdleCallback ?? clearTimeout;

const HEARD = ["rnnviz-live", "rnnviz-settled"];
const AXIS = /^[xy]axis\d*$/;
const RANGE = /^([xy]axis\d*)\.(?:auto)?range/;

// No copy of Streamlit's: Python is asked for plotly's, by one chart for all of the page.
function ask(chart) {
  waiting.add(chart);
  if (performance.now() - asked < PATIENCE) return;
  asked = performance.now();
  chart.send("missing", true);
}

function run(code) {
  if (!window.Plotly?.react) {
    const script = document.createElement("script");
    script.textContent = code;
    document.head.appendChild(script).remove();
  }
  for (const chart of waiting) window.Plotly?.react ? chart.draw() : chart.fail("no Plotly");
  waiting.clear();
}

let gl;
function drawsGL() {
  gl ??= Boolean(document.createElement("canvas").getContext("webgl"));
  return gl;
}

const text = (bytes) => new TextDecoder().decode(bytes);

const plain = (value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);

function same(a, b) {
  return a?.length === b?.length && a.every((value, i) => value === b[i]);
}
