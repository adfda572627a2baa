// The text as a strip to click, and its place in the figures: one cursor through all of them.
// Steps while playing come from here, so that a slow server is never sent more than it answers.

const instances = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let strip = instances.get(parentElement);
  if (!strip) {
    strip = new Strip(parentElement);
    instances.set(parentElement, strip);
  }
  strip.send = (value) => setTriggerValue("picked", value);
  strip.update(data);
  return () => strip.stop();
}

class Strip {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "strip";
    this.root.setAttribute("role", "listbox");
    this.root.tabIndex = -1;
    this.root.addEventListener("click", (event) => this.clicked(event));
    this.root.addEventListener("keydown", (event) => this.keyed(event));
    parent.appendChild(this.root);
    this.cells = [];
    this.overlays = new Map();
    this.watcher = new MutationObserver(() => this.soon());
  }

  update(data) {
    const drawn = this.data && this.data.text === data.text && this.data.shades === data.shades;
    this.data = data;
    this.shades = data.shades ? data.shades.split(" ").map(Number) : [];
    if (!drawn) this.draw();
    this.mark();
    this.follow();
    clearTimeout(this.timer);
    if (data.playing) this.timer = setTimeout(() => this.next(), 1000 / data.speed);
  }

  draw() {
    const { shown, titles, unknown, breaks } = this.data;
    const odd = new Set(unknown);
    const ends = new Set(breaks);
    this.root.classList.toggle("small", shown.length > 240);
    this.root.setAttribute("aria-label", this.data.label);
    const parts = [];
    this.cells = shown.map((character, i) => {
      const cell = document.createElement("button");
      cell.type = "button";
      cell.textContent = character;
      cell.title = titles[i];
      cell.setAttribute("role", "option");
      cell.setAttribute("aria-label", titles[i]);
      cell.dataset.step = i + 1;
      cell.tabIndex = -1;
      cell.classList.toggle("unknown", odd.has(i));
      const [back, front] = this.colour(this.shades[i]);
      cell.style.background = back;
      cell.style.color = front;
      parts.push(cell);
      if (ends.has(i)) {
        const end = document.createElement("span");
        end.className = "break";
        parts.push(end);
      }
      return cell;
    });
    this.root.replaceChildren(...parts);
  }

  // −1 … 1 on the signed scale, and the ink that reads best on it.
  colour(shade) {
    const stops = this.data.scale;
    const at = ((Math.max(-1, Math.min(1, shade)) + 1) / 2) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    const mix = stops[low].map((v, k) => Math.round(v + (stops[low + 1][k] - v) * (at - low)));
    const light = 0.299 * mix[0] + 0.587 * mix[1] + 0.114 * mix[2];
    return [`rgb(${mix})`, light > 140 ? "#1c2330" : "#ffffff"];
  }

  mark() {
    const before = this.root.querySelector(".now");
    const now = this.cells[this.data.t - 1];
    if (before && before !== now) {
      before.classList.remove("now");
      before.tabIndex = -1;
      before.setAttribute("aria-selected", "false");
    }
    if (!now) return;
    const focused = before && before === before.getRootNode().activeElement;
    now.classList.add("now");
    now.tabIndex = 0;
    now.setAttribute("aria-selected", "true");
    if (focused) now.focus({ preventScroll: true });
    const top = now.offsetTop - this.root.offsetTop;
    if (top < this.root.scrollTop || top + now.offsetHeight > this.root.scrollTop + this.root.clientHeight)
      this.root.scrollTop = top - this.root.clientHeight / 2;
  }

  go(t) {
    if (t < 1 || t > this.cells.length || t === this.data.t) return;
    this.data = { ...this.data, t };
    this.mark();
    this.place();
    this.send({ t });
  }

  next() {
    if (this.data.playing && this.data.t < this.cells.length) this.go(this.data.t + 1);
  }

  clicked(event) {
    const cell = event.target.closest("button");
    if (cell) this.go(Number(cell.dataset.step));
  }

  keyed(event) {
    const t = this.data.t;
    const to = { ArrowLeft: t - 1, ArrowRight: t + 1, Home: 1, End: this.cells.length }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.go(to);
  }

  // The figures come and go with Streamlit's reruns: look again whenever the page changes.
  follow() {
    const page = this.root.ownerDocument.querySelector(".stMain") || document.body;
    if (this.watched !== page) {
      this.watcher.disconnect();
      this.watcher.observe(page, { childList: true, subtree: true });
      this.watched = page;
    }
    this.place();
  }

  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.place();
    });
  }

  place() {
    for (const [figure, overlay] of this.overlays)
      if (!figure.isConnected) {
        overlay.remove();
        this.overlays.delete(figure);
      }
    const figures = document.querySelectorAll('[class*="st-key-figure_"] .js-plotly-plot');
    for (const figure of figures) if (heatmaps(figure).length) this.overlay(figure);
  }

  overlay(figure) {
    let overlay = this.overlays.get(figure);
    if (!overlay) {
      overlay = document.createElement("div");
      overlay.className = "rnnviz-cursor";
      overlay.style.cssText = "position:absolute;inset:0;pointer-events:none;overflow:hidden;z-index:5";
      figure.parentElement.style.position = "relative";
      figure.parentElement.appendChild(overlay);
      this.overlays.set(figure, overlay);
      for (const event of ["plotly_afterplot", "plotly_relayout", "plotly_relayouting"])
        figure.on(event, () => this.soon());
      figure.on("plotly_click", (event) => this.picked(event));
    }
    const { xaxis } = figure._fullLayout;
    const column = this.data.t - 1 - this.data.first;
    const boxes = [];
    const left = xaxis._offset;
    const right = left + xaxis._length;
    const tops = heatmaps(figure).map((trace) => axis(figure, trace)._offset);
    const ends = heatmaps(figure).map((trace) => axis(figure, trace)._offset + axis(figure, trace)._length);
    const a = Math.max(left, left + xaxis.l2p(column - 0.5));
    const b = Math.min(right, left + xaxis.l2p(column + 0.5));
    const columns = heatmaps(figure)[0].x.length;
    if (b > a && column >= 0 && column < columns)
      boxes.push(box(a, Math.min(...tops), b - a, Math.max(...ends) - Math.min(...tops), this.data.ink));
    for (const trace of heatmaps(figure)) {
      const y = axis(figure, trace);
      const row = Array.from(trace.y).indexOf(String(this.data.unit));
      const edges = [y.l2p(row - 0.5), y.l2p(row + 0.5)].map((p) => Math.max(0, Math.min(y._length, p)));
      const height = Math.abs(edges[1] - edges[0]);
      if (row >= 0 && height > 0)
        boxes.push(
          box(left, y._offset + Math.min(...edges), xaxis._length, height, this.data.amber, 1),
          pointer(left, y._offset + (edges[0] + edges[1]) / 2, this.data.amber),
        );
    }
    overlay.replaceChildren(...boxes);
  }

  picked(event) {
    const point = event.points[0];
    const t = Number(String(point.x).split(" ")[0]);
    const unit = Number(point.y);
    if (!Number.isInteger(t) || !Number.isInteger(unit)) return;
    this.data = { ...this.data, t, unit };
    this.mark();
    this.place();
    this.send({ t, unit });
  }

  stop() {
    clearTimeout(this.timer);
    this.watcher.disconnect();
    this.watched = null;
    for (const overlay of this.overlays.values()) overlay.remove();
    this.overlays.clear();
  }
}

const heatmaps = (figure) => (figure._fullData || []).filter((trace) => trace.type === "heatmap");

const axis = (figure, trace) => figure._fullLayout[trace.yaxis.replace("y", "yaxis")];

function box(left, top, width, height, colour, line = 1.5) {
  const element = document.createElement("div");
  element.style.cssText =
    `position:absolute;left:${left}px;top:${top}px;width:${width}px;height:${height}px;` +
    `box-shadow:0 0 0 ${line}px ${colour};border-radius:1px;min-width:1px`;
  return element;
}

// A small arrow at the chosen unit's row, which can be less than a pixel high.
function pointer(right, middle, colour) {
  const element = document.createElement("div");
  element.style.cssText =
    `position:absolute;left:${right - 9}px;top:${middle - 5}px;` +
    `border:5px solid transparent;border-left:8px solid ${colour};border-right:0`;
  return element;
}
