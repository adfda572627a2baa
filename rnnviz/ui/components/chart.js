// A Plotly figure on a permanent element: updates go through Plotly.react, which redraws in place. A figure
// out of sight is drawn when the browser is idle, or when it comes into sight.

import { library, loaded } from "./library.js";
import { apart, retouch } from "./retouch.js";
import { applyStyles } from "./styles.js";
import { UserView } from "./user_view.js";

/** @import { Click, Figure, Plot, Plotly } from "../../instrument/static/plotly.d.ts" */
/** @import { ChartHeader, ComponentArguments, LibraryHeader, LiveEvent } from "./types.d.ts" */

/** @type {WeakMap<HTMLElement, Chart>} */
const instances = new WeakMap();
/** @type {Set<Chart>} charts without a Plotly to draw them */
const waiting = new Set();
const PATIENCE = 20000; // milliseconds until it is requested again
const IDLE = 1500; // milliseconds after which a figure out of sight is drawn in any case
let requested = -Infinity; // when Plotly was requested last

// Plotly's own buttons lie over the figure, are English, and are controls within an image.
const CONFIG = { displayModeBar: false };
const SAVED_SCALE = 3; // pixels of a saved image per pixel of the page

/** @param {ComponentArguments} component */
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const end = data.indexOf(10);
  /** @type {ChartHeader | LibraryHeader} */
  const header = JSON.parse(text(data.subarray(0, end)));
  if (header.library) {
    run(text(data.subarray(end + 1)));
    return undefined;
  }
  applyStyles(parentElement);
  const chart = instances.get(parentElement) ?? new Chart(parentElement, setTriggerValue, header);
  instances.set(parentElement, chart);
  chart.send = setTriggerValue;
  if (!same(chart.bytes, data)) chart.update(data, header, end);
  // Streamlit also calls this for an update that a newer one overtook
  return () => setTimeout(() => chart.root.isConnected || chart.stop());
}

class Chart {
  /**
   * @param {HTMLElement} parent
   * @param {ComponentArguments["setTriggerValue"]} send
   * @param {ChartHeader} header
   */
  constructor(parent, send, header) {
    this.send = send;
    this.header = header;
    this.root = document.createElement("div");
    this.root.className = "rnnviz-chart";
    this.plot = /** @type {Plot} */ (/** @type {HTMLElement} */ (document.createElement("div")));
    this.plot.className = "rnnviz-chart-plot";
    this.plot.setAttribute("role", "img");
    this.message = document.createElement("p");
    this.message.className = "rnnviz-chart-failed";
    this.message.setAttribute("role", "status");
    this.message.hidden = true;
    this.save = document.createElement("button");
    this.save.type = "button";
    this.save.className = "rnnviz-chart-save";
    this.save.textContent = "PNG";
    this.save.addEventListener("click", () => this.download());
    this.root.append(this.plot, this.message, this.save);
    parent.appendChild(this.root);
    /** @type {Uint8Array | undefined} the last data */
    this.bytes = undefined;
    /** @type {string | undefined} the page's own figure, as JSON */
    this.figure = undefined;
    /** @type {string | undefined} the figure of a live update */
    this.live = undefined;
    /** @type {string | undefined} the figure that is drawn */
    this.drawn = undefined;
    /** @type {ReturnType<typeof apart> | undefined} its parts; none while it is being drawn */
    this.parts = undefined;
    this.due = false; // whether there is a figure to draw
    this.drawing = false;
    this.listening = false; // whether Plotly has drawn here
    this.stopped = false;
    /** @type {number | undefined} */
    this.observed = undefined; // the available width
    this.width = 0; // the drawn width
    this.least = 0; // the least width at which the figure can be read
    this.frame = 0; // the animation frame that is requested
    this.idle = 0; // the idle callback that is requested
    this.view = new UserView(this.plot);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.root);
    this.sight = new IntersectionObserver((entries) => {
      if (entries.at(-1)?.isIntersecting && this.due) this.draw();
    });
    this.sight.observe(this.root);
    /** @param {LiveEvent} event */
    this.listener = (event) => this.changed(event);
    for (const name of EVENTS) window.addEventListener(name, this.listener);
  }

  /**
   * @param {Uint8Array} data
   * @param {ChartHeader} header
   * @param {number} end of the header in the data
   */
  update(data, header, end) {
    this.bytes = data;
    this.figure = text(data.subarray(end + 1));
    if (!isNewest(header.key)) this.live = undefined;
    this.header = header;
    this.root.dataset.rnnvizLive = header.key;
    this.plot.setAttribute("aria-label", header.alt);
    this.message.textContent = header.failed;
    this.save.hidden = !header.save;
    this.save.title = header.save;
    this.save.setAttribute("aria-label", `PNG: ${header.save}`);
    this.root.style.height = `${header.height}px`;
    this.show();
  }

  // Draws the figure: in sight at once or in the queue, out of sight when the browser is idle.
  show({ atOnce = false } = {}) {
    this.root.classList.remove("rnnviz-chart-waits");
    cancelIdle(this.idle);
    this.due = true;
    if (atOnce) return void this.draw();
    const { top, bottom } = this.root.getBoundingClientRect();
    if (bottom > 0 && top < innerHeight) enqueue(this);
    else this.idle = whenIdle(() => this.due && this.draw(), { timeout: IDLE });
  }

  // At most one drawing is in progress; the newest figure is drawn next, and older ones are skipped.
  async draw() {
    this.due = true;
    if (this.drawing) return;
    this.drawing = true;
    while (this.due && !this.stopped && this.room) {
      this.due = false;
      try {
        const Plotly = loaded() ?? (await library(this.header.chunk));
        if (this.stopped) return;
        if (!Plotly) {
          this.due = true;
          request(this);
          break;
        }
        await this.react(Plotly);
      } catch (error) {
        this.fail(error);
      }
    }
    this.drawing = false;
  }

  /**
   * Shows the figure of a live update, until the page's own figure has the same value.
   *
   * @param {LiveEvent} event
   */
  changed({ type, detail }) {
    const figure = detail?.[this.header.key];
    if (type === "rnnviz-live" && figure === undefined) return;
    // empty: no figure for this value, so the shown one is stale
    if (figure === "") return this.root.classList.add("rnnviz-chart-waits");
    this.live = figure;
    this.show({ atOnce: Boolean(figure) });
  }

  /** @param {Plotly} Plotly */
  async react(Plotly) {
    const json = this.live ?? this.figure ?? "";
    if (json === this.drawn && this.width === this.room) return;
    /** @type {Figure} */
    const figure = JSON.parse(json);
    const meta = /** @type {{ least_width?: number } | undefined} */ (
      /** @type {unknown} */ (figure.layout.meta)
    );
    this.least = meta?.least_width ?? 0;
    this.scrollIfWide(figure);
    this.view.apply(figure);
    const now = apart(figure);
    if (this.listening && this.width === this.room) {
      const before = this.parts;
      this.parts = now;
      if (retouch(Plotly, this.plot, before, now)) {
        this.drawn = json;
        return this.view.reset();
      }
    }
    this.parts = undefined;
    this.width = this.room;
    Object.assign(figure.layout, {
      width: this.width,
      height: this.header.height,
      autosize: false,
    });
    this.message.hidden = true;
    this.plot.hidden = false;
    const done = Plotly.react(this.plot, { ...figure, config: CONFIG });
    this.view.reset();
    await done;
    if (this.stopped) return Plotly.purge(this.plot);
    this.view.reset();
    this.drawn = json;
    this.parts = now;
    if (!this.listening) {
      this.listening = true;
      this.plot.on("plotly_relayout", (change) => this.view.note(change));
      this.plot.on("plotly_click", (event) => this.clicked(event));
    }
  }

  /**
   * A figure wider than its place is scrolled, also by a finger, which would zoom otherwise.
   *
   * @param {Figure} figure
   */
  scrollIfWide(figure) {
    const isWide = this.room > (this.observed ?? this.root.clientWidth);
    this.root.classList.toggle("rnnviz-chart-wide", isWide);
    if (!isWide) return this.root.removeAttribute("tabindex");
    this.root.tabIndex = 0;
    Object.assign(figure.layout, { dragmode: false });
  }

  /** @param {Click} event */
  clicked(event) {
    const point = event.points[0];
    if (!this.header.clicks || !point) return;
    const { curveNumber: curve, x, y, customdata } = point;
    this.send("picked", { curve, x: plain(x), y: plain(y), customdata: plain(customdata) });
  }

  download() {
    const { width } = this;
    const { key, height } = this.header;
    const image = { format: "png", width, height, scale: SAVED_SCALE };
    const done = loaded()?.downloadImage(this.plot, { ...image, filename: key });
    Promise.resolve(done).catch((error) => console.warn("rnnviz: no image was saved.", error));
  }

  // The available width. It is observed, because reading it would force a layout.
  get room() {
    const width = this.observed ?? this.root.clientWidth;
    return width && Math.max(width, this.least);
  }

  resized() {
    this.observed = this.root.clientWidth;
    const width = this.room;
    if (!width || width === this.width || this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.due || !this.listening) this.draw();
      else if (!this.drawing && this.room) {
        this.width = this.room;
        const done = loaded()?.relayout(this.plot, { width: this.width });
        Promise.resolve(done).catch((error) => this.fail(error));
      }
    });
  }

  /** @param {unknown} reason */
  fail(reason) {
    console.error("rnnviz: a figure could not be drawn.", reason);
    window.Plotly?.purge(this.plot);
    this.listening = false;
    this.drawn = undefined;
    this.plot.hidden = true;
    this.message.hidden = false;
  }

  stop() {
    this.stopped = true;
    this.observer.disconnect();
    this.sight.disconnect();
    cancelIdle(this.idle);
    for (const name of EVENTS) window.removeEventListener(name, this.listener);
    cancelAnimationFrame(this.frame);
    waiting.delete(this);
    if (!this.drawing) window.Plotly?.purge(this.plot);
    this.bytes = this.figure = undefined;
  }
}

/**
 * Whether the shown live update is of the last value, so that the page's figure may be older.
 *
 * @param {string} key
 */
function isNewest(key) {
  const page = window.rnnvizPage;
  return Boolean(page?.pending.size) && page?.shownAt.get(key) === page?.changes;
}

// One drawing per task, so that a newer figure of the first chart need not wait for all others.
/** @type {Set<Chart>} */
const queue = new Set();
let scheduled = false;

/** @param {Chart} chart */
function enqueue(chart) {
  queue.add(chart);
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => {
    scheduled = false;
    const [first, next] = queue;
    queue.delete(first);
    if (first.due) first.draw();
    if (next) enqueue(next);
  });
}

// Safari has no idle callbacks.
const whenIdle = window.requestIdleCallback ?? ((task) => setTimeout(task, 100));
const cancelIdle = window.cancelIdleCallback ?? clearTimeout;

/** @type {["rnnviz-live", "rnnviz-settled"]} */
const EVENTS = ["rnnviz-live", "rnnviz-settled"];

/**
 * Without Streamlit's copy of Plotly, one chart requests plotly's own from Python, for the whole page.
 *
 * @param {Chart} chart
 */
function request(chart) {
  waiting.add(chart);
  if (performance.now() - requested < PATIENCE) return;
  requested = performance.now();
  chart.send("missing", true);
}

/** @param {string} code */
function run(code) {
  if (!loaded()) {
    const script = document.createElement("script");
    script.textContent = code;
    document.head.appendChild(script).remove();
  }
  for (const chart of waiting) {
    if (loaded()) chart.draw();
    else chart.fail("no Plotly");
  }
  waiting.clear();
}

/** @param {Uint8Array} bytes */
const text = (bytes) => new TextDecoder().decode(bytes);

/** @param {unknown} value */
const plain = (value) =>
  ArrayBuffer.isView(value)
    ? Array.from(/** @type {ArrayLike<unknown> & ArrayBufferView} */ (value))
    : value;

/**
 * @param {ArrayLike<unknown> | null | undefined} a
 * @param {ArrayLike<unknown> | null | undefined} b
 */
function same(a, b) {
  if (!a || !b || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
