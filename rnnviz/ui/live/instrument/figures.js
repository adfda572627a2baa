// The cursor in every Plotly figure of the page whose x axis is time: a frame over a heatmap's
// column and a line over the chosen unit's row, a line across any other figure.

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
    const { recording } = this.instrument;
    if (!recording) return false;
    const titles = [recording.say("plot.time"), recording.say("plot.time_characters")];
    return titles.includes(figure._fullLayout.xaxis?.title?.text);
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
    const { t, unit, isMean } = this.instrument;
    const { ink, selected } = this.instrument.recording.colours;
    const { xaxis } = figure._fullLayout;
    const [left, right] = [xaxis._offset, xaxis._offset + xaxis._length];
    const maps = figure._fullData.filter((trace) => trace.type === "heatmap" && trace.visible === true);
    const axes = Object.values(figure._fullLayout._plots ?? {}).map((plot) => plot.yaxis);
    const top = Math.min(...axes.map((y) => y._offset));
    const bottom = Math.max(...axes.map((y) => y._offset + y._length));
    const boxes = [];
    const names = xaxis._categories ?? [];
    const at = xaxis.type === "category" ? names.findIndex((name) => step(name) === t) : t;
    const half = maps.length ? 0.5 : 0;
    if (at >= 0) {
      const a = Math.max(left, left + xaxis.l2p(at - half));
      const b = Math.min(right, left + xaxis.l2p(at + half));
      if (b >= a) boxes.push(box(a, top, b - a, bottom - top, ink));
    }
    for (const trace of isMean ? [] : maps) {
      const y = figure._fullLayout[trace.yaxis.replace("y", "yaxis")];
      const row = Array.from(trace.y).indexOf(String(unit));
      const edges = [y.l2p(row - 0.5), y.l2p(row + 0.5)].map((p) => Math.max(0, Math.min(y._length, p)));
      const height = Math.abs(edges[1] - edges[0]);
      if (row >= 0 && height > 0)
        boxes.push(
          box(left, y._offset + Math.min(...edges), xaxis._length, height, selected, 1),
          pointer(left, y._offset + (edges[0] + edges[1]) / 2, selected),
        );
    }
    return boxes;
  }

  picked(event) {
    const point = event.points[0];
    const t = step(point?.x);
    const unit = point?.data.type === "heatmap" ? Number(point.y) : undefined;
    if (Number.isInteger(t)) this.instrument.go(t, unit);
  }

  stop() {
    this.watcher.disconnect();
    this.watched = undefined;
    for (const overlay of this.overlays.values()) overlay.remove();
    this.overlays.clear();
  }
}

// A category is named by its step and, where there is one, the character read.
const step = (name) => Number(String(name).split(" ")[0]);

function box(left, top, width, height, colour, line = 1.5) {
  const made = element("div");
  made.style.cssText =
    `left:${left}px;top:${top}px;width:${width}px;height:${height}px;box-shadow:0 0 0 ${line}px ${colour}`;
  return made;
}

// A small arrow at the chosen unit's row, which can be less than a pixel high.
function pointer(right, middle, colour) {
  const made = element("div");
  made.style.cssText =
    `left:${right - 9}px;top:${middle - 5}px;border:5px solid transparent;border-left:8px solid ${colour};border-right:0`;
  return made;
}
