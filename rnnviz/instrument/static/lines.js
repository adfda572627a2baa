// The selected unit over time: one line per gate and state, those of one scale in one panel, and a cursor at
// the current step. The lines are drawn once per unit, in coordinates that the browser stretches.

import { classifyWidth, drawn, element, write } from "./elements.js";
import { number } from "./recording.js";
import { endOfAxis, timeTicks } from "./ticks.js";

/** @import { Recording } from "./recording.js" */
/** @import { InstrumentView, Row, Scale } from "./types.d.ts" */
/** @typedef {{ rows: Row[], scale: Scale }} Panel */

const DASHES = ["", "5 3", "1.5 3"]; // of a panel's lines

export class Lines {
  /** @param {InstrumentView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.root = element("div", "lines");
    this.heading = element("h2", "rnnviz-heading");
    this.legend = element("div", "legend");
    this.plot = element("div", "panels");
    this.place = element("div", "place"); // of the cursor: over all panels, as wide as the axis
    this.cursor = element("div", "cursor");
    this.cursor.append(element("i"));
    this.place.append(this.cursor);
    this.axis = element("div", "axis");
    this.root.append(this.heading, this.legend, this.plot, this.axis);
    this.plot.addEventListener("click", (event) => this.clicked(event));
    this.observer = new ResizeObserver(() => this.paintAxis());
    this.observer.observe(this.axis);
    classifyWidth(this.root, { narrow: [0, 30] });
    /** @type {{ row: Row, value: Element }[]} the legend's entries */
    this.entries = [];
    /** @type {Map<number, Element>} by step */
    this.ticks = new Map();
    this.unit = -1; // whose lines are drawn
    this.from = 0; // the cursor as a share of the width, at the step before
    this.to = 0;
    /** @type {number | undefined} */
    this.shown = undefined;
  }

  draw() {
    this.unit = -1;
    this.shown = undefined;
    this.paintAxis();
    this.mark();
  }

  // Draws the lines of the selected unit.
  paint() {
    const { recording, unit } = this.instrument;
    this.unit = unit;
    const panels = panelsOf(recording, unit);
    const symbols = panels.flatMap(({ rows }) => rows.map(({ symbol }) => symbol));
    this.plot.setAttribute("role", "img");
    this.plot.setAttribute(
      "aria-label",
      `${recording.say("instrument.lines", { unit })}: ${symbols.join(", ")}`,
    );
    this.entries = [];
    this.root.style.setProperty("--steps", String(recording.steps));
    this.plot.replaceChildren(...panels.map((panel) => this.panel(panel)), this.place);
    this.legend.replaceChildren(...panels.flatMap(({ rows }) => rows.map(this.entry, this)));
  }

  /** @param {Panel} panel */
  panel({ rows, scale }) {
    const { recording, unit } = this.instrument;
    const panel = element("div", rows.length > 1 ? "panel" : "panel single");
    const ends = element("div", "ends");
    const texts = [String(scale.most), "0", ...(scale.signed ? [`−${scale.most}`] : [])];
    ends.append(...texts.map((textContent) => element("span", "", { textContent })));
    const { steps } = recording;
    const svg = drawn("svg", { viewBox: `0 0 ${steps} 1`, preserveAspectRatio: "none" });
    if (scale.signed) svg.append(drawn("path", { d: `M0 0.5H${steps}`, class: "zero" }));
    rows.forEach((row, k) => {
      const path = drawn("path", { d: lineOf(recording, row.name, unit, scale) });
      path.dataset.line = row.name;
      path.style.stroke = colourOf(recording, row);
      path.style.strokeDasharray = DASHES[k % DASHES.length];
      const group = drawn("g", { "data-gate": row.gate }, path);
      svg.append(group);
    });
    panel.append(ends, svg);
    return panel;
  }

  /**
   * An entry of the legend, with the line's value at the current step.
   *
   * @param {Row} row
   * @param {number} k its place in its panel
   */
  entry(row, k) {
    const { recording } = this.instrument;
    const entry = element("span", "entry");
    entry.dataset.gate = row.gate;
    const line = drawn("svg", { viewBox: "0 0 18 6", "aria-hidden": "true" });
    const path = drawn("path", { d: "M1 3H17" });
    path.style.stroke = colourOf(recording, row);
    path.style.strokeDasharray = DASHES[k % DASHES.length];
    line.append(path);
    const value = element("span", "value");
    value.dataset.line = row.name;
    entry.append(
      line,
      element("i", "", { textContent: row.symbol ?? "" }),
      element("span", "name", { textContent: row.label ?? "" }),
      value,
    );
    this.entries.push({ row, value });
    return entry;
  }

  paintAxis() {
    const { current: recording } = this.instrument;
    const width = this.axis.clientWidth;
    if (!recording || !(width > 0)) return;
    const { each, ticks, name } = timeTicks(recording, width);
    this.ticks = new Map(
      ticks.map(({ t, text }) => {
        const tick = element("span", "", { textContent: text });
        tick.style.left = `${(100 * (t - 0.5)) / recording.steps}%`;
        return [t, tick];
      }),
    );
    this.axis.classList.toggle("each", each);
    this.axis.replaceChildren(...this.ticks.values(), element("small", "", { textContent: name }));
  }

  mark() {
    const { recording, t, unit } = this.instrument;
    if (this.unit !== unit) this.paint();
    write(this.heading, recording.say("instrument.lines", { unit }));
    for (const { row, value } of this.entries)
      write(value, number(recording.at(row.name, t, unit), row.signed));
    this.to = (t - 1) / recording.steps;
    this.from = this.shown ?? this.to;
    this.axis.querySelector(".now")?.classList.remove("now");
    this.ticks.get(t)?.classList.add("now");
  }

  /** @param {number} share */
  ease(share) {
    this.shown = this.from + (this.to - this.from) * share;
    this.cursor.style.transform = `translateX(${100 * this.shown}%)`;
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const { left, width } = this.place.getBoundingClientRect();
    const { steps } = this.instrument.recording;
    const at = Math.floor(((event.clientX - left) / width) * steps) + 1;
    this.instrument.go(Math.max(1, Math.min(steps, at)));
  }
}

/**
 * The arrays of one scale in one panel: gates from 0 to 1, bounded values from −1 to 1; every other array
 * has a panel and a scale of its own.
 *
 * @param {Recording} recording
 * @param {number} unit
 */
export function panelsOf(recording, unit) {
  /** @type {Map<string, Panel>} */
  const panels = new Map();
  for (const row of recording.rows) {
    const isShared = row.most === 1 && !row.beyond;
    const key = isShared ? String(row.signed) : row.name;
    const most = isShared ? 1 : endOfAxis(largestOf(recording, row.name, unit));
    const panel = panels.get(key) ?? { rows: [], scale: { signed: row.signed, most } };
    panel.rows.push(row);
    panels.set(key, panel);
  }
  return [...panels.values()];
}

/**
 * The largest absolute value of a unit over time.
 *
 * @param {Recording} recording
 * @param {string} name
 * @param {number} unit
 */
function largestOf(recording, name, unit) {
  let most = 0;
  for (let t = 1; t <= recording.steps; t++)
    most = Math.max(most, Math.abs(recording.at(name, t, unit)));
  return most;
}

/**
 * The path of a unit's values: step t at t − 0.5, from 0 at the top to 1 at the bottom.
 *
 * @param {Recording} recording
 * @param {string} name
 * @param {number} unit
 * @param {Scale} scale
 */
export function lineOf(recording, name, unit, { signed, most }) {
  const { steps } = recording;
  const dash = steps > 1 ? 0 : 0.3; // of a single step; with 0, one between gaps is a dot
  let path = "";
  let pen = "M";
  for (let t = 1; t <= steps; t++) {
    const share = recording.at(name, t, unit) / most;
    const y = signed ? (1 - share) / 2 : 1 - share;
    if (Number.isFinite(y)) path += `${pen}${t - 0.5 - dash / 2} ${y.toFixed(4)}`;
    pen = Number.isFinite(y) ? "L" : "M";
  }
  return path && `${path}h${dash}`;
}

/**
 * @param {Recording} recording
 * @param {Row} row
 */
function colourOf({ colours }, row) {
  return colours.lines[row.symbol ?? ""] ?? colours.ink;
}
