// What a user has changed in a Plotly figure, kept over updates: the zoom when an axis gets another range,
// which Plotly would lose, and the hidden lines when lines are added or removed.

import { AXIS, alike } from "./retouch.js";

/** @import { Figure, LayoutAxis, Plot, Trace } from "../../instrument/static/plotly.d.ts" */

const RANGE = /^([xy]axis\d*)\.(?:auto)?range/;

export class UserView {
  /** @param {Plot} plot */
  constructor(plot) {
    this.plot = plot;
    /** @type {Map<string, string>} Plotly's ids of traces by name */
    this.uids = new Map();
    /** @type {unknown} */
    this.revision = undefined;
    /** @type {Map<string | undefined, { base: Trace["visible"], given: Trace["visible"] }>} */
    this.shown = new Map(); // visibility by trace: what Python set, and what was drawn
    /** @type {Map<string, { range?: unknown[], autorange?: LayoutAxis["autorange"] }>} */
    this.home = new Map(); // ranges by axis, as Python set them
    this.forget();
  }

  // Drops the user's zoom and hidden lines.
  forget() {
    /** @type {Map<string | undefined, { visible: Trace["visible"], base: Trace["visible"] }>} */
    this.chosen = new Map(); // by trace; base: what Python had set then
    /** @type {Map<string, { range?: unknown[], autorange?: LayoutAxis["autorange"] }>} */
    this.zoomed = new Map(); // by axis
  }

  /**
   * Applies the user's zoom and hidden lines to a figure from Python.
   *
   * @param {Figure} figure
   */
  apply({ data, layout }) {
    this.keepVisibility(data, layout);
    const axes = Object.keys(layout).filter((key) => AXIS.test(key));
    this.home = new Map();
    for (const name of new Set([...axes, ...this.zoomed.keys()])) {
      layout[name] ??= {};
      const axis = layout[name];
      const { range, autorange } = axis;
      if (range === null) delete axis.range; // Plotly cannot write into null
      // a copy, because Plotly modifies the figure's
      this.home.set(name, { range: range?.includes(null) ? undefined : range?.slice(), autorange });
      Object.assign(axis, this.zoomed.get(name));
    }
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) delete layout.transition;
  }

  /**
   * @param {Trace[]} data
   * @param {Figure["layout"]} layout
   */
  keepVisibility(data, layout) {
    for (const { uid, visible } of this.plot.data || []) {
      const { base, given } = this.shown.get(uid) ?? {};
      if (visible !== given) this.chosen.set(uid, { visible, base });
    }
    layout.uirevision ??= "kept";
    if (this.revision !== layout.uirevision) this.forget();
    this.revision = layout.uirevision;
    this.shown = new Map();
    /** @type {Map<string, number>} */
    const names = new Map();
    for (const trace of data) {
      const name = trace.meta ?? trace.uid ?? trace.name ?? "";
      const count = names.get(name) ?? 0;
      names.set(name, count + 1);
      trace.uid = this.uid(`${name} ${count}`);
      const base = trace.visible;
      const chosen = this.chosen.get(trace.uid);
      if (chosen && chosen.base !== base) this.chosen.delete(trace.uid);
      else if (chosen) trace.visible = chosen.visible;
      this.shown.set(trace.uid, { base, given: trace.visible });
      if (trace.type?.endsWith("gl") && !drawsGL()) trace.type = trace.type.slice(0, -2);
    }
  }

  /**
   * A trace's id by its name, which cannot be the id itself: Plotly uses ids in CSS selectors.
   *
   * @param {string} name
   */
  uid(name) {
    const uid = this.uids.get(name) ?? `line${this.uids.size}`;
    this.uids.set(name, uid);
    return uid;
  }

  // Makes a double click restore the ranges that Python set last, not those it set first.
  reset() {
    for (const [name, { range, autorange }] of this.home) {
      const axis = this.plot._fullLayout?.[/** @type {"xaxis"} */ (name)];
      if (!axis) continue;
      [axis._rangeInitial0, axis._rangeInitial1] = range || [];
      axis._autorangeInitial = range ? false : (autorange ?? true);
    }
  }

  /** @param {Record<string, unknown>} change */
  note(change) {
    const names = Object.keys(change).flatMap((key) => RANGE.exec(key)?.[1] ?? []);
    for (const name of new Set(names)) {
      const { autorange, range } = /** @type {LayoutAxis} */ (this.plot.layout[name]);
      const home = this.home.get(name)?.range;
      const isHome = home ? !autorange && alike(home, range) : autorange;
      if (isHome) this.zoomed.delete(name);
      else if (autorange) this.zoomed.set(name, { autorange, range: undefined });
      else this.zoomed.set(name, { autorange: false, range: [...(range ?? [])] });
    }
  }
}

/** @type {boolean | undefined} */
let gl;
function drawsGL() {
  gl ??= Boolean(document.createElement("canvas").getContext("webgl"));
  return gl;
}
