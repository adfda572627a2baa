// The cell as a drawing. Each kind of cell is a list of what it has: wires that carry a value,
// gates that fill to theirs, signs, and numbers. `v(name)` is a recorded value at this step, and
// `v(name, 1)` the one before; the mean over units is the mean of what flows in each.

const [TOP, NODE, GATE, BUS] = [80, 150, 204, 318];
const CELLS = {
  lstm: {
    view: "0 40 640 336",
    wires: [
      { d: `M24 ${TOP}H134`, of: "cell_state", flow: (v) => v("cell_state", 1), belt: true },
      { d: `M134 ${TOP}H318`, of: "cell_state", flow: (v) => v("forget_gate") * v("cell_state", 1), belt: true },
      { d: `M318 ${TOP}H616`, of: "cell_state", flow: (v) => v("cell_state"), belt: true },
      { d: `M134 ${GATE}V${TOP + 14}`, of: "forget_gate", flow: (v) => v("forget_gate") },
      { d: `M260 ${GATE}V${NODE}H304`, of: "input_gate", flow: (v) => v("input_gate") },
      { d: `M376 ${GATE}V${NODE}H332`, of: "cell_candidate", flow: (v) => v("cell_candidate") },
      { d: `M318 ${NODE - 14}V${TOP + 14}`, of: "cell_candidate", flow: (v) => v("input_gate") * v("cell_candidate") },
      { d: `M492 ${GATE}V${NODE}H542`, of: "output_gate", flow: (v) => v("output_gate") },
      { d: `M556 ${TOP}V${NODE - 14}`, of: "hidden_state", flow: (v) => Math.tanh(v("cell_state")) },
      { d: `M570 ${NODE}H590V${BUS}H616`, of: "hidden_state", flow: (v) => v("hidden_state") },
    ],
    feeds: [`M66 340V${BUS}`, `M24 ${BUS}H492V${GATE + 64}`, ...[134, 260, 376].map((x) => `M${x} ${BUS}V${GATE + 64}`)],
    signs: [["×", 134, TOP], ["+", 318, TOP], ["×", 318, NODE], ["tanh", 556, 112], ["×", 556, NODE]],
    gates: { forget_gate: 134, input_gate: 260, cell_candidate: 376, output_gate: 492 },
    numbers: [
      { symbol: "c", of: "cell_state", back: 1, x: 24, y: 58 },
      { symbol: "c", of: "cell_state", x: 616, y: 58, end: true },
      { symbol: "h", of: "hidden_state", back: 1, x: 24, y: 303 },
      { symbol: "h", of: "hidden_state", x: 616, y: 344, end: true },
    ],
    reads: [66, 356],
  },
  gru: {
    view: "0 40 640 336",
    wires: [
      { d: `M24 ${TOP}H150`, of: "hidden_state", flow: (v) => v("hidden_state", 1), belt: true },
      { d: `M150 ${TOP}H484`, of: "hidden_state", flow: (v) => v("update_gate") * v("hidden_state", 1), belt: true },
      { d: `M484 ${TOP}H616`, of: "hidden_state", flow: (v) => v("hidden_state"), belt: true },
      { d: `M150 ${GATE}V${TOP + 14}`, of: "update_gate", flow: (v) => v("update_gate") },
      { d: `M150 ${NODE}H286`, of: "update_gate", flow: (v) => v("update_gate") },
      { d: `M334 ${NODE}H470`, of: "update_gate", flow: (v) => 1 - v("update_gate") },
      { d: `M484 ${GATE}V${NODE + 14}`, of: "hidden_candidate", flow: (v) => v("hidden_candidate") },
      {
        d: `M484 ${NODE - 14}V${TOP + 14}`,
        of: "hidden_candidate",
        flow: (v) => (1 - v("update_gate")) * v("hidden_candidate"),
      },
      { d: `M362 236H382`, of: "reset_gate", flow: (v) => v("reset_gate") },
    ],
    feeds: [
      `M66 340V${BUS}`,
      `M36 ${TOP + 5}V${BUS}H484V${GATE + 64}`,
      ...[150, 310].map((x) => `M${x} ${BUS}V${GATE + 64}`),
      `M396 ${BUS}V250`,
      "M410 236H432", // r times the product, which is not recorded
    ],
    signs: [
      ["×", 150, TOP],
      ["+", 484, TOP],
      ["1 − z", 310, NODE],
      ["×", 484, NODE],
      ["×", 396, 236],
      ["U h", 396, 282], // torch's reset comes after the product with U, not before
    ],
    gates: { update_gate: 150, reset_gate: 310, hidden_candidate: 484 },
    numbers: [
      { symbol: "h", of: "hidden_state", back: 1, x: 24, y: 58 },
      { symbol: "h", of: "hidden_state", x: 616, y: 58, end: true },
    ],
    reads: [66, 356],
  },
  rnn: {
    view: "0 56 640 288",
    wires: [
      { d: "M24 190H166", of: "hidden_state", flow: (v) => v("hidden_state", 1), belt: true },
      { d: "M194 190H288", of: "hidden_preactivation", flow: (v) => v("hidden_preactivation") },
      { d: "M336 190H398", of: "hidden_state", flow: (v) => v("hidden_state"), belt: true },
      { d: "M502 190H616", of: "hidden_state", flow: (v) => v("hidden_state"), belt: true },
    ],
    feeds: ["M180 300V204"],
    loop: "M560 184V92H80V182",
    signs: [["+", 180, 190], ["", 312, 190]],
    gates: { hidden: 450 },
    gateTop: 158,
    numbers: [
      { symbol: "h", of: "hidden_state", back: 1, x: 24, y: 230 },
      { symbol: "a", of: "hidden_preactivation", x: 241, y: 166, middle: true },
      { symbol: "h", of: "hidden_state", x: 616, y: 230, end: true },
    ],
    reads: [180, 318],
  },
};

// Where a variant differs from torch's cell.
CELLS.lstm_peephole = {
  ...CELLS.lstm,
  // i and f see the cell state before this step, o the one after it
  peepholes: [`M52 ${TOP + 4}V183H108V${GATE}`, `M108 183H234V${GATE}`, `M424 ${TOP + 4}V183H466V${GATE}`],
};
CELLS.lstm_coupled = {
  ...CELLS.lstm,
  wires: [
    ...CELLS.lstm.wires.filter(({ of }) => of !== "input_gate"),
    { d: `M134 ${NODE}H236`, of: "forget_gate", flow: (v) => v("forget_gate") },
    { d: `M284 ${NODE}H304`, of: "input_gate", flow: (v) => v("input_gate") },
  ],
  feeds: CELLS.lstm.feeds.filter((d) => !d.startsWith("M260")),
  signs: [...CELLS.lstm.signs, ["1 − f", 260, NODE]],
  gates: { forget_gate: 134, cell_candidate: 376, output_gate: 492 },
};
CELLS.lstm_peephole_coupled = {
  ...CELLS.lstm_coupled,
  peepholes: [`M52 ${TOP + 4}V183H108V${GATE}`, `M424 ${TOP + 4}V183H466V${GATE}`],
};
CELLS.gru_reset_before = {
  ...CELLS.gru,
  wires: [
    ...CELLS.gru.wires.filter(({ of }) => of !== "reset_gate"),
    { d: "M362 254H372V282H382", of: "reset_gate", flow: (v) => v("reset_gate") },
  ],
  feeds: [...CELLS.gru.feeds.slice(0, -2), `M396 ${BUS}V296`, "M396 268V250", "M410 236H432"],
  signs: [...CELLS.gru.signs.slice(0, 4), ["×", 396, 282], ["U", 396, 236]],
};

const FUNCTIONS = { identity: "id", sigmoid: "σ" };

let drawings = 0;

class Drawing {
  constructor(instrument) {
    this.instrument = instrument;
    this.number = drawings++; // no two on a page have an id in common
    this.root = element("div", "drawing");
    this.heading = element("p", "rnnviz-heading");
    this.hint = element("p", "rnnviz-note");
    this.mean = element("input", "", { type: "checkbox" });
    this.mean.setAttribute("role", "switch");
    this.mean.addEventListener("change", () => instrument.average(this.mean.checked));
    this.meanLabel = element("span");
    const label = element("label", "switch");
    label.append(this.mean, this.meanLabel);
    const head = element("div", "head");
    head.append(this.heading, label);
    this.place = element("div");
    this.place.addEventListener("click", (event) => this.picked(event));
    this.place.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.picked(event);
    });
    this.root.append(head, this.place, this.hint);
  }

  picked(event) {
    const gate = event.target.closest("[role=button]")?.dataset.gate;
    if (gate) this.instrument.choose(gate);
  }

  draw() {
    const { recording } = this.instrument;
    this.plan = CELLS[recording.plan];
    this.hint.textContent = recording.say("instrument.click_gate");
    this.meanLabel.textContent = recording.say("instrument.mean");
    const svg = drawn("svg", { viewBox: this.plan.view, role: "group" });
    svg.setAttribute("aria-label", recording.say("instrument.drawing", { cell: recording.cell.toUpperCase() }));
    for (const d of this.plan.feeds) svg.append(drawn("path", { d, class: "feed" }));
    for (const d of this.plan.peepholes ?? []) svg.append(drawn("path", { d, class: "feed peephole" }));
    if (this.plan.loop) this.drawLoop(svg);
    this.wires = this.plan.wires.map((wire) => this.drawWire(svg, wire));
    for (const sign of this.plan.signs) this.drawSign(svg, ...sign);
    this.valves = Object.entries(this.plan.gates).map(([gate, x]) => this.drawGate(svg, gate, x));
    this.numbers = this.plan.numbers.map((plan) => this.drawNumber(svg, plan));
    this.drawReads(svg, ...this.plan.reads);
    this.place.replaceChildren(svg);
    this.to = this.shown = this.scaled = undefined;
    this.mark();
    this.ease(1);
  }

  drawLoop(svg) {
    svg.append(drawn("path", { d: this.plan.loop, class: "feed loop" }));
    const text = this.instrument.recording.say("instrument.next_step");
    svg.append(drawn("text", { x: 320, y: 82, class: "small", "text-anchor": "middle" }, text));
  }

  drawWire(svg, { d, of, flow, belt }) {
    const { recording } = this.instrument;
    // the array whose colours the wire takes: (1 − z) h those of h
    const row = recording.by.get(of);
    const gate = belt || of === "hidden_preactivation" ? "" : row.gate;
    const casing = drawn("path", { d, class: "casing" });
    const wire = drawn("path", { d, class: "wire" });
    const group = drawn("g", gate ? { "data-gate": gate } : {}, casing, wire);
    svg.append(group);
    return { casing, wire, row, flow, least: belt ? 4 : 2, thick: belt ? 8 : 6 };
  }

  drawSign(svg, text, x, y) {
    const { nonlinearity, cell } = this.instrument.recording;
    if (!text) text = cell === "rnn" ? (FUNCTIONS[nonlinearity] ?? nonlinearity) : "";
    const wide = text.length > 1;
    const shape = wide
      ? drawn("rect", { x: x - 24, y: y - 12, width: 48, height: 24, rx: 12 })
      : drawn("circle", { cx: x, cy: y, r: 14 });
    const word = drawn("text", { x, y: y + (wide ? 4 : 5), class: wide ? "word" : "sign" }, text);
    svg.append(drawn("g", { class: "node" }, shape, word));
  }

  drawGate(svg, gate, x) {
    const { recording } = this.instrument;
    const array = gate === "hidden" ? "hidden_state" : gate;
    const row = recording.by.get(array);
    const y = this.plan.gateTop ?? GATE;
    const [left, width, height] = [x - 52, 104, 64];
    const box = { x: left, y, width, height, rx: 7 };
    const clip = `rnnviz-valve-${this.number}-${gate}`;
    const fill = drawn("rect", { x: left, y, width, height, "clip-path": `url(#${clip})` });
    const name = drawn("text", { x, y: y + 26, class: "name" }, row.label);
    const text = drawn("text", { x, y: y + 46, class: "value", "data-value": array });
    const button = drawn(
      "g",
      { class: "gate", role: "button", tabindex: 0, "data-gate": gate },
      drawn("clipPath", { id: clip }, drawn("rect", box)),
      drawn("rect", { class: "chosen", x: left - 5, y: y - 5, width: width + 10, height: height + 10, rx: 11 }),
      drawn("rect", { ...box, class: "ground" }),
      fill,
      drawn("rect", { ...box, class: "edge" }),
      name,
      text,
    );
    svg.append(button);
    return { gate, row, array, fill, name, text, button, y, height };
  }

  drawNumber(svg, { symbol, of, back = 0, x, y, end, middle }) {
    const anchor = end ? "end" : middle ? "middle" : "start";
    const attributes = { x, y, class: "number", "text-anchor": anchor, "data-value": of, "data-back": back };
    const text = drawn("text", attributes);
    svg.append(text);
    return { text, symbol, of, back };
  }

  drawReads(svg, x, y) {
    this.tile = drawn("text", { x, y: y + 6, class: "read" });
    this.tileName = drawn("text", { x: x + 26, y: y + 5, class: "small" });
    svg.append(
      drawn("rect", { x: x - 17, y: y - 17, width: 34, height: 34, rx: 5, class: "tile" }),
      this.tile,
      this.tileName,
    );
  }

  // What a function of recorded values comes to: of the chosen unit, or its mean over all.
  value(flow) {
    const { recording, t, unit, isMean } = this.instrument;
    if (!isMean) return flow((name, back = 0) => recording.at(name, t - back, unit));
    let [sum, k] = [0, 0];
    const v = (name, back = 0) => recording.at(name, t - back, k);
    for (; k < recording.width; k++) sum += flow(v);
    return sum / recording.width;
  }

  // Where a wire's colours end: a state's at the largest that this unit ever has, as in the strip.
  scale(row) {
    const { recording, unit, isMean } = this.instrument;
    if (row.kind !== "states" || row.most === 1 || isMean) return { ...row, most: isMean ? 1 : row.most };
    let most = 1;
    for (let t = 0; t <= recording.steps; t++) most = Math.max(most, Math.abs(recording.at(row.name, t, unit)));
    return { ...row, most };
  }

  rescale() {
    const { unit, isMean } = this.instrument;
    if (this.scaled === `${unit} ${isMean}`) return;
    this.scaled = `${unit} ${isMean}`;
    const scales = new Map(this.instrument.recording.rows.map((row) => [row.name, this.scale(row)]));
    for (const wire of this.wires) wire.scale = scales.get(wire.row.name);
  }

  // Numbers, names and the character are this step's at once; what fills and flows follows.
  mark() {
    const { recording, t, unit, gate, isMean } = this.instrument;
    const cell = recording.cell.toUpperCase();
    this.rescale();
    const heading = isMean
      ? recording.say("instrument.cell_mean", { cell, n: recording.width, t })
      : recording.say("card.cell", { cell, unit, t });
    write(this.heading, recording.title ?? heading);
    this.mean.checked = isMean;
    for (const { text, symbol, of, back } of this.numbers)
      write(text, `${symbol}${below(t - back)} ${number(this.value((v) => v(of, back)), true)}`);
    write(this.tile, recording.character(t));
    this.tile.classList.toggle("long", recording.character(t).length > 2);
    write(this.tileName, `x${below(t)}  ${recording.say("instrument.reads")}`);
    const values = this.valves.map(({ array }) => this.value((v) => v(array)));
    this.valves.forEach((valve, i) => {
      const letter = valve.gate === "hidden" ? `h${below(t)}` : recording.letters[valve.gate];
      const shown = number(values[i], valve.row.signed);
      write(valve.text, `${letter} = ${shown}`);
      valve.button.setAttribute("aria-pressed", valve.gate === gate);
      if (!this.instrument.playing) {
        const name = { gate: valve.row.label, value: shown };
        valve.button.setAttribute("aria-label", recording.say("instrument.pick_gate", name));
      }
    });
    this.from = this.shown;
    this.to = [...values, ...this.wires.map(({ flow }) => this.value(flow))];
    if (!this.from || this.from.length !== this.to.length) this.from = this.to;
  }

  // Between the step before and this one: share 1 is this one.
  ease(share) {
    if (!this.to) return;
    const { recording } = this.instrument;
    this.shown = share < 1 ? this.to.map((to, i) => this.from[i] + (to - this.from[i]) * share) : this.to;
    this.valves.forEach(({ row, fill, name, text, y, height }, i) => {
      const part = Math.min(1, Math.abs(this.shown[i]) / row.most);
      const colour = recording.colour(row, this.shown[i]);
      fill.setAttribute("y", (y + height * (1 - part)).toFixed(1));
      fill.setAttribute("height", (height * part).toFixed(1));
      fill.setAttribute("fill", colour);
      // in the ink of what is behind its middle; with an edge of that, if the other half needs another
      const ink = recording.ink(row, this.shown[i]);
      for (const line of [name, text]) {
        const covered = y + height * (1 - part) < line.getAttribute("y") - 5;
        line.style.fill = covered ? ink : "";
        line.style.stroke = recording.isOwn(ink) ? "none" : covered ? colour : "";
      }
    });
    this.wires.forEach(({ casing, wire, scale, least, thick }, i) => {
      const value = this.shown[this.valves.length + i];
      const weight = least + (thick - least) * Math.min(1, Math.abs(value) / scale.most);
      wire.setAttribute("stroke", recording.colour(scale, value));
      wire.setAttribute("stroke-width", weight.toFixed(1));
      casing.setAttribute("stroke-width", (weight + 1.5).toFixed(1));
    });
  }
}

// Only what is another text: writing it lays out anew.
function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
