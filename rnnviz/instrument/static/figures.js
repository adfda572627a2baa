// The cursor in every Plotly figure over time: in heatmaps a frame around the step's column and a line
// around the selected unit's row, in other figures a line. A figure's layout.meta.time lists its time
// axes; without it, the x axis is a time axis if it has that title.

import { closest, element } from "./elements.js";

/** @import { Click, FullAxis, FullTrace, Plot } from "./plotly.d.ts" */
/** @import { InstrumentView } from "./types.d.ts" */

export class Figures {
  /**
   * @param {InstrumentView} instrument
   * @param {string} page selects the element that figures come and go in
   */
  constructor(instrument, page) {
    this.instrument = instrument;
    this.page = page;
    /** @type {Map<Plot, HTMLElement>} */
    this.overlays = new Map();
    this.frame = 0; // the animation frame that is requested
    this.search = false; // whether that frame must look for figures
    /** @type {Element | undefined} */
    this.watched = undefined;
    this.watcher = new MutationObserver((changes) => {
      if (changes.some(({ target }) => !closest(target, ".rnnviz-instrument, .rnnviz-cursor")))
        this.soon(true);
    });
  }

  watch() {
    const page = document.querySelector(this.page) || document.body;
    if (this.watched === page) return;
    this.watcher.disconnect();
    this.watcher.observe(page, { childList: true, subtree: true });
    this.watched = page;
    this.soon(true);
  }

  soon(search = false) {
    this.search ||= search;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.search) this.look();
      this.search = false;
      this.mark();
    });
  }

  look() {
    for (const [figure, overlay] of this.overlays)
      if (!figure.isConnected || !overlay.isConnected) {
        overlay.remove();
        this.overlays.delete(figure);
      }
    /** @type {NodeListOf<Plot>} */
    const figures = document.querySelectorAll(".js-plotly-plot");
    for (const figure of figures)
      if (!this.overlays.has(figure) && figure._fullLayout && this.isOverTime(figure))
        this.cover(figure);
  }

  /** @param {Plot} figure */
  isOverTime(figure) {
    return this.timeAxes(figure).length > 0;
  }

  /** @param {Plot} figure */
  timeAxes({ _fullLayout: layout }) {
    const { recording } = this.instrument;
    if (!recording) return [];
    const named = layout.meta?.time;
    if (named) return named.map((id) => axisOf(layout, id)).filter((axis) => axis !== undefined);
    const titles = [recording.say("plot.time"), recording.say("plot.time_characters")];
    return layout.xaxis && titles.includes(layout.xaxis.title?.text ?? "") ? [layout.xaxis] : [];
  }

  /** @param {Plot} figure */
  cover(figure) {
    const overlay = element("div", "rnnviz-cursor");
    const parent = /** @type {HTMLElement} */ (figure.parentElement);
    parent.style.position = "relative";
    parent.append(overlay);
    this.overlays.set(figure, overlay);
    for (const event of ["plotly_afterplot", "plotly_relayout", "plotly_relayouting"])
      figure.on(event, () => this.soon());
    figure.on("plotly_click", (event) => this.picked(event));
  }

  mark() {
    if (!this.instrument.recording) return;
    for (const [figure, overlay] of this.overlays)
      overlay.replaceChildren(
        ...(figure._fullLayout && this.isOverTime(figure) ? this.boxes(figure) : []),
      );
  }

  /** @param {Plot} figure */
  boxes(figure) {
    const { isMean, recording } = this.instrument;
    const maps = figure._fullData.filter(
      (trace) => trace.type === "heatmap" && trace.visible === true,
    );
    const cursors = this.timeAxes(figure).flatMap((axis) => this.cursor(figure, axis, maps));
    if (!recording.cell || isMean) return cursors;
    return [...cursors, ...maps.flatMap((map) => this.unitRow(figure, map))];
  }

  /**
   * A frame around the selected unit's row of a heatmap.
   *
   * @param {Plot} figure
   * @param {FullTrace} map
   */
  unitRow({ _fullLayout: layout }, map) {
    const { unit, recording } = this.instrument;
    const { selected } = recording.colours;
    const [x, y] = [layout.xaxis, axisOf(layout, map.yaxis)];
    const row = Array.from(map.y).indexOf(String(unit));
    if (!x || !y || row < 0) return [];
    const [start, end] = [y.l2p(row - 0.5), y.l2p(row + 0.5)].map((p) =>
      Math.max(0, Math.min(y._length, p)),
    );
    const height = Math.abs(end - start);
    if (!(height > 0)) return [];
    return [
      box(x._offset, y._offset + Math.min(start, end), x._length, height, selected, { line: 1 }),
      pointer(x._offset, y._offset + (start + end) / 2, selected),
    ];
  }

  /**
   * A line or a frame at the current step, across all plots on this axis.
   *
   * @param {Plot} figure
   * @param {FullAxis} axis
   * @param {FullTrace[]} maps
   */
  cursor(figure, axis, maps) {
    const { t, recording } = this.instrument;
    const names = axis._categories ?? [];
    const at = axis.type === "category" ? names.findIndex((name) => stepOf(name) === t) : t;
    /** @type {["xaxis", "yaxis"] | ["yaxis", "xaxis"]} */
    const [along, across] = axis._id[0] === "x" ? ["xaxis", "yaxis"] : ["yaxis", "xaxis"];
    const plots = Object.values(figure._fullLayout._plots ?? {});
    const others = plots.filter((plot) => plot[along]._id === axis._id).map((plot) => plot[across]);
    if (at < 0 || !others.length) return [];
    others.sort((one, other) => one._offset - other._offset);
    const start = others[0]._offset;
    const end = Math.max(...others.map((other) => other._offset + other._length));
    const over = maps.filter((map) => map[along] === axis._id);
    const half = over.length ? 0.5 : 0;
    const edges = [axis.l2p(at - half), axis.l2p(at + half)].sort((a, b) => a - b);
    const from = axis._offset + Math.max(0, edges[0]);
    const to = axis._offset + Math.min(axis._length, edges[1]);
    if (to < from) return [];
    const { ink, ground } = recording.colours;
    const made =
      along === "xaxis"
        ? box(from, start, to - from, end - start, ink, { ground })
        : box(start, from, end - start, to - from, ink, { ground });
    const mapped = new Set(over.map((map) => map[across]));
    if (along === "xaxis" && half && others.some(({ _id }) => !mapped.has(_id)))
      made.style.clipPath = columns(others, mapped, to - from);
    if (!half) {
      made.className = "line";
      made.style.boxShadow = `0 0 0 0.5px ${ink}`;
      made.style.background = ink;
    }
    return [made];
  }

  /** @param {Click} event */
  picked(event) {
    const point = event.points[0];
    const t = Math.round(stepOf(point?.x));
    const unit =
      this.instrument.recording.cell && point?.data.type === "heatmap"
        ? Number(point.y)
        : undefined;
    if (Number.isInteger(t)) this.instrument.go(t, unit);
  }

  stop() {
    this.watcher.disconnect();
    this.watched = undefined;
    for (const overlay of this.overlays.values()) overlay.remove();
    this.overlays.clear();
  }
}

const RIM = 4; // pixels around a box that its shadow needs

/**
 * @param {Plot["_fullLayout"]} layout
 * @param {string} id
 */
function axisOf(layout, id) {
  return /** @type {FullAxis | undefined} */ (
    layout[/** @type {"xaxis"} */ (`${id[0]}axis${id.slice(1)}`)]
  );
}

/**
 * The step of a point: a category is named by its step and, in some figures, the character read.
 *
 * @param {unknown} name
 */
const stepOf = (name) => Number(String(name).split(" ")[0]);

/**
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @param {string} colour
 * @param {{ line?: number, ground?: string }} look a rim of the ground's colour shows it on dark cells
 */
function box(left, top, width, height, colour, { line = 1.5, ground = "transparent" }) {
  const made = element("div");
  const shadow = `0 0 0 ${line}px ${colour}, 0 0 0 ${line + 1}px ${ground}`;
  made.style.cssText = `left:${left}px;top:${top}px;width:${width}px;height:${height}px;box-shadow:${shadow}`;
  return made;
}

/**
 * The clip path of a frame across several plots: those with a heatmap, and no others.
 *
 * @param {FullAxis[]} axes from the top
 * @param {Set<string>} mapped the ids of those with a heatmap
 * @param {number} width
 */
function columns(axes, mapped, width) {
  let path = "";
  for (const [k, { _id, _offset, _length }] of axes.entries()) {
    if (!mapped.has(_id)) continue;
    const [before, after] = [axes[k - 1], axes[k + 1]];
    const top = mapped.has(before?._id) ? before._offset + before._length : _offset - RIM;
    const bottom = _offset + _length + (mapped.has(after?._id) ? 0 : RIM);
    path += `M${-RIM},${top - axes[0]._offset}h${width + 2 * RIM}v${bottom - top}h${-width - 2 * RIM}z`;
  }
  return `path("${path}")`;
}

/**
 * A small arrow at the selected unit's row, which can be less than a pixel high.
 *
 * @param {number} right
 * @param {number} middle
 * @param {string} colour
 */
function pointer(right, middle, colour) {
  const made = element("div");
  made.style.cssText = `left:${right - 9}px;top:${middle - 5}px;border:5px solid transparent;border-left:8px solid ${colour};border-right:0`;
  return made;
}
