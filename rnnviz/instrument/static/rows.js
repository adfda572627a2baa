// Heatmaps of unit × step on canvases, which are painted once. The cursor, the selected unit's row
// and the bars of the current step are separate elements over and beside them.

import { closest, element } from "./elements.js";
import { number } from "./recording.js";
import { timeTicks } from "./ticks.js";

/** @import { InstrumentView, Row } from "./types.d.ts" */
/** @typedef {ReturnType<Rows["part"]>} Part */

const BARS = 60; // pixels

export class Rows {
  /**
   * @param {InstrumentView} instrument
   * @param {Row["kind"]} kind
   */
  constructor(instrument, kind) {
    this.instrument = instrument;
    this.kind = kind;
    this.root = element("div", `rows ${kind}`);
    this.note = element("p", "rnnviz-note");
    this.body = element("div", "body");
    this.column = element("div", "column");
    this.axis = element("div", "axis");
    this.tip = element("div", "tip", { hidden: true });
    this.root.append(this.note, this.body, this.tip);
    /** @type {PointerEvent | undefined} the end of the last press */
    this.released = undefined;
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.root);
    this.root.addEventListener("pointermove", (event) => this.hovered(event));
    this.root.addEventListener("pointerleave", () => (this.tip.hidden = true));
    // A click has whole pixels in Chromium, which may be those of the unit above the one pointed at.
    this.root.addEventListener("pointerup", (event) => {
      this.released = event;
    });
    this.root.addEventListener("click", (event) => this.clicked(event));
    this.root.addEventListener("keydown", (event) => this.keyed(event));
    /** @type {Part[]} */
    this.parts = [];
    /** @type {HTMLElement[]} by step; empty where a step has none */
    this.ticks = [];
    this.ticked = 0; // the step whose tick is marked
    this.frame = 0; // the animation frame that is requested
    // in pixels, as painted
    this.left = 0;
    this.width = 0; // 0: not painted
    this.ratio = 0; // device pixels per pixel
    // the cursor as a share of the width: at the step before, now and in between
    /** @type {number | undefined} */
    this.from = undefined;
    /** @type {number | undefined} */
    this.to = undefined;
    /** @type {number | undefined} */
    this.shown = undefined;
  }

  draw() {
    const { recording } = this.instrument;
    this.parts = recording.rows
      .filter((row) => row.kind === this.kind)
      .map((row) => this.part(row));
    this.axis = element("div", "axis");
    this.body.replaceChildren(...this.parts.map((part) => part.root), this.column);
    if (this.kind === "states") this.body.append(this.axis);
    this.paint();
  }

  /** @param {Row} row */
  part(row) {
    const { recording } = this.instrument;
    const root = element("div", "row");
    root.dataset.gate = row.gate;
    root.dataset.array = row.name;
    const label = element("div", "label");
    label.append(
      element("b", "", { textContent: row.label ?? "" }),
      element("small", "", { textContent: recording.say("plot.units", { n: recording.width }) }),
      scaleOf(row),
    );
    const map = element("div", "map", { tabIndex: 0 });
    map.setAttribute("role", "slider");
    map.setAttribute("aria-orientation", "vertical");
    map.setAttribute("aria-label", recording.say("instrument.unit_row", { array: row.label }));
    map.setAttribute("aria-valuemin", "0");
    map.setAttribute("aria-valuemax", String(recording.width - 1));
    const canvas = element("canvas");
    const line = element("div", "unit");
    const pointer = element("div", "pointer");
    const bars = element("canvas", "bars");
    map.append(canvas, line, pointer);
    root.append(label, map, bars);
    return { row, root, map, canvas, line, pointer, bars };
  }

  resized() {
    if (!this.parts.length || this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const width = this.parts[0]?.map.clientWidth;
      if (width && (width !== this.width || devicePixelRatio !== this.ratio)) this.paint();
    });
  }

  // The height of a heatmap: about a pixel per unit.
  get height() {
    return Math.max(64, Math.min(128, this.instrument.recording.width));
  }

  paint() {
    const { recording } = this.instrument;
    const width = this.parts[0]?.map.clientWidth;
    if (!width) return;
    this.width = width;
    this.ratio = devicePixelRatio || 1;
    const columns = Math.min(recording.steps, Math.round(width * this.ratio));
    this.paintMaps(columns);
    const many = recording.steps > columns;
    this.note.textContent = many
      ? recording.say("instrument.pooled", { n: (recording.steps / columns).toFixed(1) })
      : "";
    this.note.hidden = !many;
    this.left = this.parts[0].map.offsetLeft;
    this.paintAxis();
    this.mark();
    this.ease(1);
  }

  /** @param {number} columns */
  paintMaps(columns) {
    const { recording } = this.instrument;
    const { height, ratio } = this;
    const [wide, tall] = [Math.round(this.width * ratio), Math.round(height * ratio)];
    const rows = Math.min(recording.width, tall);
    const pixels = new ImageData(columns, rows);
    const small = element("canvas", "", { width: columns, height: rows });
    for (const { row, canvas, map, bars } of this.parts) {
      map.style.height = bars.style.height = `${height}px`;
      recording.pooled(row.name, columns, rows).forEach((value, i) => {
        pixels.data.set([...recording.shade(row, value), 255], 4 * i);
      });
      contextOf(small).putImageData(pixels, 0, 0);
      Object.assign(canvas, { width: wide, height: tall });
      const context = contextOf(canvas);
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, wide, tall);
      Object.assign(bars, { width: BARS * ratio, height: tall });
    }
  }

  paintAxis() {
    const { recording } = this.instrument;
    this.ticks = [];
    if (!this.axis.isConnected) return;
    const { each, ticks, name } = timeTicks(recording, this.width);
    for (const { t, text } of ticks) {
      const tick = element("span", "", { textContent: text });
      tick.style.left = `${this.left + ((t - 0.5) / recording.steps) * this.width}px`;
      this.ticks[t] = tick;
    }
    const title = element("small", "", { textContent: name });
    title.style.left = `${this.left + this.width / 2}px`;
    this.axis.classList.toggle("each", each);
    this.axis.replaceChildren(...this.ticks.filter(Boolean), title);
  }

  mark() {
    const { recording, t, unit, playing, isMean } = this.instrument;
    if (!this.width) return;
    this.to = (t - 1) / recording.steps;
    this.from = this.shown ?? this.to;
    this.ticks[this.ticked]?.classList.remove("now");
    this.ticked = t;
    this.ticks[t]?.classList.add("now");
    const at = recording.units.indexOf(unit);
    const tall = this.height / recording.width;
    for (const { row, map, line, pointer, bars } of this.parts) {
      line.hidden = pointer.hidden = isMean;
      line.style.height = `${Math.max(1, tall)}px`;
      line.style.transform = `translateY(${at * tall}px)`;
      pointer.style.transform = `translateY(${(at + 0.5) * tall - 5}px)`;
      this.paintBars(row, bars);
      if (playing) continue;
      map.setAttribute("aria-valuenow", String(at));
      const value = number(recording.at(row.name, t, unit), row.signed);
      map.setAttribute("aria-valuetext", recording.say("instrument.row", { unit, t, value }));
    }
  }

  /**
   * @param {Row} row
   * @param {HTMLCanvasElement} bars
   */
  paintBars(row, bars) {
    const { recording, t } = this.instrument;
    const context = contextOf(bars);
    const tall = bars.height / recording.width;
    const zero = row.signed ? bars.width / 2 : 0;
    const reach = bars.width - zero;
    context.clearRect(0, 0, bars.width, bars.height);
    recording.units.forEach((unit, i) => {
      const value = recording.at(row.name, t, unit);
      const long = Math.max(-1, Math.min(1, value / row.most)) * reach;
      context.fillStyle = recording.colour(row, value);
      context.fillRect(zero, i * tall, long, Math.max(1, tall > 3 ? tall - 1 : tall));
    });
    context.fillStyle = recording.colours.line;
    context.fillRect(Math.min(zero, bars.width - 1), 0, 1, bars.height);
  }

  /** @param {number} share */
  ease(share) {
    if (this.from === undefined || this.to === undefined) return;
    this.shown = this.from + (this.to - this.from) * share;
    const wide = Math.max(2, this.width / this.instrument.recording.steps);
    this.column.style.width = `${wide}px`;
    this.column.style.transform = `translateX(${this.left + this.shown * this.width}px)`;
  }

  /**
   * The step, unit and array under the pointer.
   *
   * @param {MouseEvent} event
   */
  under(event) {
    const map = closest(event.target, ".map");
    const part = this.parts.find((part) => part.map === map);
    if (!part) return undefined;
    const { recording } = this.instrument;
    const box = part.map.getBoundingClientRect();
    const across = Math.floor(((event.clientX - box.left) / box.width) * recording.steps);
    const down = Math.floor(((event.clientY - box.top) / box.height) * recording.width);
    const t = Math.max(0, Math.min(recording.steps - 1, across)) + 1;
    const unit = recording.units[Math.max(0, Math.min(recording.width - 1, down))];
    return { t, unit, row: part.row };
  }

  /** @param {MouseEvent} event */
  hovered(event) {
    const under = this.under(event);
    this.tip.hidden = !under;
    if (!under) return;
    const { recording } = this.instrument;
    const { t, unit, row } = under;
    const value = recording.at(row.name, t, unit).toFixed(4).replace("-", "−");
    const where = recording.say("strip.step", { t, character: recording.character(t) });
    this.tip.textContent = `${row.label}\n${where}\n${recording.say("instrument.row", { unit, t, value })}`;
    const box = this.root.getBoundingClientRect();
    const right = event.clientX - box.left > box.width / 2;
    this.tip.style.left = right ? "" : `${event.clientX - box.left + 14}px`;
    this.tip.style.right = right ? `${box.right - event.clientX + 14}px` : "";
    this.tip.style.top = `${event.clientY - box.top + 12}px`;
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const { released = event } = this;
    const [across, down] = [released.clientX - event.clientX, released.clientY - event.clientY];
    const isSame = Math.max(Math.abs(across), Math.abs(down)) < 1;
    const under = this.under(isSame ? released : event);
    if (under) this.instrument.go(under.t, under.unit);
  }

  /** @param {KeyboardEvent} event */
  keyed(event) {
    const { recording, unit } = this.instrument;
    if (!closest(event.target, ".map") || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const at = recording.units.indexOf(unit) + (event.key === "ArrowUp" ? -1 : 1);
    if (at in recording.units) this.instrument.look(recording.units[at]);
  }
}

/**
 * The colour scale of a row, with the values at its ends.
 *
 * @param {Row} row
 */
function scaleOf({ signed, most, beyond }) {
  const scale = element("div", `scale ${signed ? "signed" : "gate"}`);
  const [start, end] = endsOf(signed, most, beyond);
  scale.append(
    element("span", "", { textContent: start }),
    element("i"),
    element("span", "", { textContent: end }),
  );
  return scale;
}

/**
 * The texts at the ends of a scale, with ≤ and ≥ if values are beyond it.
 *
 * @param {boolean} signed
 * @param {number} most
 */
export function endsOf(signed, most, beyond = false) {
  const text = most.toPrecision(2).replace(/\.?0+$/, "");
  return [signed ? `${beyond ? "≤ " : ""}−${text}` : "0", `${beyond ? "≥ " : ""}${text}`];
}

/** @param {HTMLCanvasElement} canvas */
function contextOf(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
