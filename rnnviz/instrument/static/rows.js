// Heatmaps of unit × step on canvases, which are drawn once; the cursor, the chosen unit's row and
// the bars of the step now move over and beside them.

const BARS = 60; // pixels

class Rows {
  constructor(instrument, kind) {
    Object.assign(this, { instrument, kind });
    this.root = element("div", `rows ${kind}`);
    this.note = element("p", "rnnviz-note");
    this.body = element("div", "body");
    this.column = element("div", "column");
    this.tip = element("div", "tip", { hidden: true });
    this.root.append(this.note, this.body, this.tip);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.root);
    this.root.addEventListener("pointermove", (event) => this.hovered(event));
    this.root.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.root.addEventListener("click", (event) => this.clicked(event));
    this.root.addEventListener("keydown", (event) => this.keyed(event));
    this.parts = [];
  }

  draw() {
    const { recording } = this.instrument;
    this.parts = recording.rows.filter((row) => row.kind === this.kind).map((row) => this.part(row));
    this.body.replaceChildren(...this.parts.map((part) => part.root), this.column);
    this.axis = element("div", "axis");
    if (this.kind === "states") this.body.append(this.axis);
    this.paint();
  }

  part(row) {
    const { recording } = this.instrument;
    const root = element("div", "row");
    root.dataset.gate = row.gate;
    root.dataset.array = row.name;
    const label = element("div", "label");
    const scale = element("div", `scale ${row.signed ? "signed" : "gate"}`);
    const end = `${row.beyond ? "≥ " : ""}${row.most.toPrecision(2).replace(/\.?0+$/, "")}`;
    const start = row.signed ? `${row.beyond ? "≤ " : ""}−${row.most.toPrecision(2).replace(/\.?0+$/, "")}` : "0";
    scale.append(element("span", "", { textContent: start }), element("i"), element("span", "", { textContent: end }));
    label.append(
      element("b", "", { textContent: row.label }),
      element("small", "", { textContent: recording.say("plot.units", { n: recording.width }) }),
      scale,
    );
    const map = element("div", "map", { tabIndex: 0 });
    map.setAttribute("role", "slider");
    map.setAttribute("aria-orientation", "vertical");
    map.setAttribute("aria-label", recording.say("instrument.unit_row", { array: row.label }));
    map.setAttribute("aria-valuemin", 0);
    map.setAttribute("aria-valuemax", recording.width - 1);
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

  // The height of a row of heatmaps: about a pixel a unit.
  get height() {
    return Math.max(64, Math.min(128, this.instrument.recording.width));
  }

  paint() {
    const { recording } = this.instrument;
    const width = this.parts[0]?.map.clientWidth;
    if (!width) return;
    this.width = width;
    this.ratio = devicePixelRatio || 1;
    const { height, ratio } = this;
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    const columns = Math.min(recording.steps, size[0]);
    const rows = Math.min(recording.width, size[1]);
    const pixels = new ImageData(columns, rows);
    const small = element("canvas", "", { width: columns, height: rows });
    for (const { row, canvas, map, bars } of this.parts) {
      map.style.height = bars.style.height = `${height}px`;
      const values = recording.pooled(row.name, columns, rows);
      values.forEach((value, i) => {
        const [r, g, b] = recording.shade(row, value);
        pixels.data.set([r, g, b, 255], 4 * i);
      });
      small.getContext("2d").putImageData(pixels, 0, 0);
      Object.assign(canvas, { width: size[0], height: size[1] });
      const context = canvas.getContext("2d");
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, ...size);
      Object.assign(bars, { width: BARS * ratio, height: size[1] });
    }
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

  // Every character where they fit, else about ten numbers of steps.
  paintAxis() {
    const { recording } = this.instrument;
    const { steps } = recording;
    this.ticks = [];
    if (!this.axis.isConnected) return;
    const each = this.width / steps >= 7;
    const apart = each ? 1 : [5, 10, 20, 50, 100, 200, 500].find((n) => steps / n <= 12);
    for (let t = apart; t <= steps; t += apart) {
      const tick = element("span", "", { textContent: each ? recording.character(t) : t });
      if (each && recording.character(t).length > 2) tick.textContent = "□";
      tick.style.left = `${this.left + ((t - 0.5) / steps) * this.width}px`;
      this.ticks[t] = tick;
    }
    const name = recording.say(each ? "plot.time_characters" : "plot.time");
    const title = element("small", "", { textContent: name });
    title.style.left = `${this.left + this.width / 2}px`;
    this.axis.classList.toggle("each", each);
    this.axis.replaceChildren(...this.ticks.filter(Boolean), title);
  }

  mark() {
    const { recording, t, unit, playing, isMean } = this.instrument;
    if (!this.width) return;
    this.from = this.shown;
    this.to = (t - 1) / recording.steps;
    this.from ??= this.to;
    this.ticks[this.ticked]?.classList.remove("now");
    this.ticks[(this.ticked = t)]?.classList.add("now");
    const at = recording.units.indexOf(unit);
    const tall = this.height / recording.width;
    for (const { row, map, line, pointer, bars } of this.parts) {
      line.hidden = pointer.hidden = isMean;
      line.style.height = `${Math.max(1, tall)}px`;
      line.style.transform = `translateY(${at * tall}px)`;
      pointer.style.transform = `translateY(${(at + 0.5) * tall - 5}px)`;
      this.paintBars(row, bars);
      if (playing) continue;
      map.setAttribute("aria-valuenow", at);
      const value = number(recording.at(row.name, t, unit), row.signed);
      map.setAttribute("aria-valuetext", recording.say("instrument.row", { unit, t, value }));
    }
  }

  paintBars(row, bars) {
    const { recording, t } = this.instrument;
    const context = bars.getContext("2d");
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

  ease(share) {
    if (this.to === undefined || !this.width) return;
    this.shown = this.from + (this.to - this.from) * share;
    const wide = Math.max(2, this.width / this.instrument.recording.steps);
    this.column.style.width = `${wide}px`;
    this.column.style.transform = `translateX(${this.left + this.shown * this.width}px)`;
  }

  // Which step, unit and array are at a place on the screen.
  under(event) {
    const map = event.target.closest?.(".map");
    const part = this.parts.find((part) => part.map === map);
    if (!part) return undefined;
    const { recording } = this.instrument;
    const box = map.getBoundingClientRect();
    const across = Math.floor(((event.clientX - box.left) / box.width) * recording.steps);
    const down = Math.floor(((event.clientY - box.top) / box.height) * recording.width);
    const t = Math.max(0, Math.min(recording.steps - 1, across)) + 1;
    const unit = recording.units[Math.max(0, Math.min(recording.width - 1, down))];
    return { t, unit, row: part.row };
  }

  hovered(event) {
    const found = this.under(event);
    this.tip.hidden = !found;
    if (!found) return;
    const { recording } = this.instrument;
    const { t, unit, row } = found;
    const value = recording.at(row.name, t, unit).toFixed(4).replace("-", "−");
    const where = recording.say("strip.step", { t, character: recording.character(t) });
    this.tip.textContent = `${row.label}\n${where}\n${recording.say("instrument.row", { unit, t, value })}`;
    const box = this.root.getBoundingClientRect();
    const right = event.clientX - box.left > box.width / 2;
    this.tip.style.left = right ? "" : `${event.clientX - box.left + 14}px`;
    this.tip.style.right = right ? `${box.right - event.clientX + 14}px` : "";
    this.tip.style.top = `${event.clientY - box.top + 12}px`;
  }

  clicked(event) {
    const found = this.under(event);
    if (found) this.instrument.go(found.t, found.unit);
  }

  keyed(event) {
    const { recording, unit } = this.instrument;
    if (!event.target.closest(".map") || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const at = recording.units.indexOf(unit) + (event.key === "ArrowUp" ? -1 : 1);
    if (at in recording.units) this.instrument.look(recording.units[at]);
  }
}
