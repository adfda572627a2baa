// The cursor in every Plotly figure of the page over time: a frame over a heatmap's column and a
// line over the chosen unit's row, a line across any other figure. A figure's layout.meta.time names
// all its axes that are time, across or down; without it the first is known by its title.

class Figures {
  constructor(instrument) {
    this.instrument = instrument;
    this.overlays = new Map();
    // Figures come and go with Streamlit's reruns: look again whenever the page changes.
    this.watcher = new MutationObserver((changes) => {
      if (changes.some(({ target }) => !target.closest?.(".rnnviz-instrument, .rnnviz-cursor"))) this.soon(true);
    });
  }

  follow() {
    const page = document.querySelector(".stMain") || document.body;
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
    for (const figure of document.querySelectorAll(".js-plotly-plot"))
      if (!this.overlays.has(figure) && figure._fullLayout && this.isOverTime(figure)) this.cover(figure);
  }

  isOverTime(figure) {
    return this.timeAxes(figure).length > 0;
  }

  timeAxes({ _fullLayout: layout }) {
    const { recording } = this.instrument;
    if (!recording) return [];
    const named = layout.meta?.time;
    if (named) return named.map((id) => layout[`${id[0]}axis${id.slice(1)}`]).filter(Boolean);
    const titles = [recording.say("plot.time"), recording.say("plot.time_characters")];
    return titles.includes(layout.xaxis?.title?.text) ? [layout.xaxis] : [];
  }

  cover(figure) {
    const overlay = element("div", "rnnviz-cursor");
    figure.parentElement.style.position = "relative";
    figure.parentElement.append(overlay);
    this.overlays.set(figure, overlay);
    for (const event of ["plotly_afterplot", "plotly_relayout", "plotly_relayouting"])
      figure.on(event, () => this.soon());
    figure.on("plotly_click", (event) => this.picked(event));
  }

  mark() {
    if (!this.instrument.recording) return;
    for (const [figure, overlay] of this.overlays)
      overlay.replaceChildren(...(figure._fullLayout && this.isOverTime(figure) ? this.boxes(figure) : []));
  }

  boxes(figure) {
    const { unit, isMean, recording } = this.instrument;
    const { selected } = recording.colours;
    const maps = figure._fullData.filter((trace) => trace.type === "heatmap" && trace.visible === true);
    const boxes = this.timeAxes(figure).flatMap((axis) => this.cursor(figure, axis, maps));
    if (!recording.cell) return boxes;
    const { xaxis } = figure._fullLayout;
    const left = xaxis._offset;
    for (const trace of isMean ? [] : maps) {
      const y = figure._fullLayout[trace.yaxis.replace("y", "yaxis")];
      const row = Array.from(trace.y).indexOf(String(unit));
      const edges = [y.l2p(row - 0.5), y.l2p(row + 0.5)].map((p) => Math.max(0, Math.min(y._length, p)));
      const height = Math.abs(edges[1] - edges[0]);
      if (row >= 0 && height > 0)
        boxes.push(
          box(left, y._offset + Math.min(...edges), xaxis._length, height, selected, { line: 1 }),
          pointer(left, y._offset + (edges[0] + edges[1]) / 2, selected),
        );
    }
    return boxes;
  }

  // A line or a frame at the step now, through all that stands over this axis.
  cursor(figure, axis, maps) {
    const { t, recording } = this.instrument;
    const names = axis._categories ?? [];
    const at = axis.type === "category" ? names.findIndex((name) => step(name) === t) : t;
    if (at < 0) return [];
    const across = axis._id[0] === "x";
    const plots = Object.values(figure._fullLayout._plots ?? {});
    const own = plots.filter((plot) => plot[across ? "xaxis" : "yaxis"]._id === axis._id);
    const others = own.map((plot) => plot[across ? "yaxis" : "xaxis"]);
    others.sort((one, other) => one._offset - other._offset);
    const start = others[0]?._offset;
    const end = Math.max(...others.map((other) => other._offset + other._length));
    const over = maps.filter((map) => map[across ? "xaxis" : "yaxis"] === axis._id);
    const half = over.length ? 0.5 : 0;
    const edges = [axis.l2p(at - half), axis.l2p(at + half)].sort((a, b) => a - b);
    const from = axis._offset + Math.max(0, edges[0]);
    const to = axis._offset + Math.min(axis._length, edges[1]);
    if (to < from || !own.length) return [];
    const { ink, ground } = recording.colours;
    const made = across
      ? box(from, start, to - from, end - start, ink, { ground })
      : box(start, from, end - start, to - from, ink, { ground });
    const mapped = new Set(over.map((map) => map[across ? "yaxis" : "xaxis"]));
    if (across && half && others.some(({ _id }) => !mapped.has(_id))) {
      made.style.clipPath = columns(others, mapped, to - from);
    }
    if (!half) {
      made.className = "line";
      made.style.boxShadow = `0 0 0 0.5px ${ink}`;
      made.style.background = ink;
    }
    return [made];
  }

  picked(event) {
    const point = event.points[0];
    const t = Math.round(step(point?.x));
    const unit = this.instrument.recording.cell && point?.data.type === "heatmap" ? Number(point.y) : undefined;
    if (Number.isInteger(t)) this.instrument.go(t, unit);
  }

  stop() {
    this.watcher.disconnect();
    this.watched = undefined;
    for (const overlay of this.overlays.values()) overlay.remove();
    this.overlays.clear();
  }
}

const RIM = 4; // pixels around a box that are its own

// A category is named by its step and, where there is one, the character read.
const step = (name) => Number(String(name).split(" ")[0]);

// ground: a thin rim around it, without which it would be lost on dark cells.
function box(left, top, width, height, colour, { line = 1.5, ground = "transparent" } = {}) {
  const made = element("div");
  const shadow = `0 0 0 ${line}px ${colour}, 0 0 0 ${line + 1}px ${ground}`;
  made.style.cssText = `left:${left}px;top:${top}px;width:${width}px;height:${height}px;box-shadow:${shadow}`;
  return made;
}

// Where a box over the first plot to the last is seen: not over those that have no heatmap and say so.
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

// A small arrow at the chosen unit's row, which can be less than a pixel high.
function pointer(right, middle, colour) {
  const made = element("div");
  made.style.cssText =
    `left:${right - 9}px;top:${middle - 5}px;border:5px solid transparent;border-left:8px solid ${colour};border-right:0`;
  return made;
}
