// The drawing of a cell, by its plan (plans.js).

import { nameIfUnusual, nameOf } from "./activations.js";
import { closest, drawn, element, LETTER, narrowed, write } from "./elements.js";
import { Marks } from "./marks.js";
import { GATE, PLANS } from "./plans.js";
import { below, number } from "./recording.js";

/** @import { CellView, NumberPlan, Row, Scale, Value, WirePlan } from "./types.d.ts" */
/**
 * @typedef {object} Wire
 * @property {SVGElement} casing
 * @property {SVGElement} wire
 * @property {Row} row the array that gives its colours
 * @property {Scale} scale
 * @property {WirePlan["flow"]} flow
 * @property {number} thin width at 0
 * @property {number} thick width at the end of the scale
 */

const GATE_WIDTH = 104;
// on the elements, because a copy of them by <use> takes no rules of the style sheet
const VALUE = "font: 600 13.5px var(--mono)";
const ACTIVATION = "font: 400 11px var(--mono)";
const ROOM = 140; // the width of the longest sign

let drawings = 0;

export class Drawing {
  /** @param {CellView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.number = drawings++; // makes ids unique on the page
    this.root = element("div", "drawing");
    this.heading = element("h2", "rnnviz-heading");
    this.hint = element("p", "rnnviz-note");
    this.mean = element("input", "", { type: "checkbox" });
    this.mean.setAttribute("role", "switch");
    this.mean.addEventListener("change", () => instrument.average?.(this.mean.checked));
    this.meanLabel = element("span");
    const label = element("label", "switch");
    label.append(this.mean, this.meanLabel);
    const head = element("div", "head");
    head.append(this.heading, label);
    this.place = element("div", "place");
    this.place.addEventListener("click", (event) => this.picked(event));
    this.place.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.picked(event);
    });
    this.root.append(head, this.place, this.hint);
    // one of several cells has none
    this.marks = instrument.average ? new Marks() : undefined;
    if (this.marks) this.place.after(this.marks.root);
    /** @type {Wire[]} */
    this.wires = [];
    /** @type {ReturnType<Drawing["drawGate"]>[]} */
    this.valves = [];
    /** @type {ReturnType<Drawing["drawNumber"]>[]} */
    this.numbers = [];
    this.character = drawn("text", { class: "read" });
    this.characterName = drawn("text", { class: "small" });
    this.reset();
  }

  // Clears the values of gates and wires: at the step before, at this step, and as shown in between.
  reset() {
    /** @type {number[] | undefined} */
    this.from = undefined;
    /** @type {number[] | undefined} */
    this.to = undefined;
    /** @type {number[] | undefined} */
    this.shown = undefined;
    this.scaledFor = ""; // the unit whose range scales the wires
  }

  /** @param {Event} event */
  picked(event) {
    const gate = closest(event.target, "[role=button]")?.dataset.gate;
    if (gate) this.instrument.choose(gate);
  }

  draw() {
    const { recording } = this.instrument;
    const plan = PLANS[recording.plan];
    this.hint.textContent = recording.say("instrument.click_gate");
    this.meanLabel.textContent = recording.say("instrument.mean");
    const svg = drawn("svg", { viewBox: plan.view, role: "group" });
    svg.setAttribute(
      "aria-label",
      recording.say("instrument.drawing", { cell: recording.cell.toUpperCase() }),
    );
    for (const d of plan.feeds) svg.append(drawn("path", { d, class: "feed" }));
    for (const d of plan.peepholes ?? []) svg.append(drawn("path", { d, class: "feed peephole" }));
    if (plan.loop) this.drawLoop(svg, plan.loop);
    this.wires = plan.wires.map((wire) => this.drawWire(svg, wire));
    for (const sign of plan.signs) this.drawSign(svg, ...sign);
    this.valves = Object.entries(plan.gates).map(([gate, x]) =>
      this.drawGate(svg, gate, x, plan.gateTop ?? GATE),
    );
    this.numbers = plan.numbers.map((text) => this.drawNumber(svg, text));
    this.drawCharacter(svg, ...plan.reads);
    this.place.replaceChildren(svg);
    if (this.marks) {
      this.marks.draw(recording, plan, plan.gateTop ?? GATE);
      this.place.append(this.marks.badges);
    }
    this.reset();
    this.mark();
    this.ease(1);
  }

  /**
   * @param {SVGElement} svg
   * @param {string} d
   */
  drawLoop(svg, d) {
    svg.append(drawn("path", { d, class: "feed loop" }));
    const text = this.instrument.recording.say("instrument.next_step");
    svg.append(drawn("text", { x: 320, y: 82, class: "small", "text-anchor": "middle" }, text));
  }

  /**
   * @param {SVGElement} svg
   * @param {WirePlan} plan
   * @returns {Wire}
   */
  drawWire(svg, { d, of, flow, belt }) {
    const row = this.instrument.recording.row(of);
    const gate = belt || of === "hidden_preactivation" ? "" : row.gate;
    const casing = drawn("path", { d, class: "casing" });
    const wire = drawn("path", { d, class: "wire" });
    /** @type {Record<string, string>} */
    const attributes = gate ? { "data-gate": gate } : {};
    svg.append(drawn("g", attributes, casing, wire));
    return { casing, wire, row, scale: row, flow, thin: belt ? 4 : 2, thick: belt ? 8 : 6 };
  }

  /**
   * @param {SVGElement} svg
   * @param {string} text
   * @param {number} x its middle
   * @param {number} y
   * @param {string} [activation] whose name is shown instead of a text
   */
  drawSign(svg, text, x, y, activation) {
    if (activation) text = nameOf(this.instrument.recording.activations[activation]);
    const wide = Boolean(activation) || text.length > 1; // the wires end at its sides
    const width = Math.max(48, Math.min(ROOM, LETTER * text.length) + 8);
    const shape = wide
      ? drawn("rect", { x: x - width / 2, y: y - 12, width, height: 24, rx: 12 })
      : drawn("circle", { cx: x, cy: y, r: 14 });
    const at = { x, y: y + (wide ? 4 : 5), class: wide ? "word" : "sign" };
    const word = drawn("text", { ...at, ...narrowed(text, ROOM) }, text);
    svg.append(drawn("g", { class: "node" }, shape, word));
  }

  /**
   * @param {SVGElement} svg
   * @param {string} gate
   * @param {number} x its middle
   * @param {number} y its top
   */
  drawGate(svg, gate, x, y) {
    const array = gate === "hidden" ? "hidden_state" : gate;
    const row = this.instrument.recording.row(array);
    const [left, width, height] = [x - GATE_WIDTH / 2, GATE_WIDTH, 64];
    const box = { x: left, y, width, height, rx: 7 };
    const clip = `rnnviz-valve-${this.number}-${gate}`;
    const fill = drawn("rect", { x: left, y, width, height, "clip-path": `url(#${clip})` });
    // the texts twice: over the fill in an ink that suits its colour, elsewhere in the page's
    const texts = this.gateTexts(gate, array, x, y);
    const cover = drawn("rect", { x: left, y, width, height });
    const copy = drawn("use", { href: `#${clip}-texts` });
    const over = drawn("g", { "clip-path": `url(#${clip}-fill)` }, copy);
    const button = drawn(
      "g",
      { class: "gate", role: "button", tabindex: 0, "data-gate": gate },
      drawn("clipPath", { id: clip }, drawn("rect", box)),
      drawn("clipPath", { id: `${clip}-fill` }, cover),
      drawn("rect", {
        class: "chosen",
        x: left - 5,
        y: y - 5,
        width: width + 10,
        height: height + 10,
        rx: 11,
      }),
      drawn("rect", { ...box, class: "ground" }),
      fill,
      drawn("rect", { ...box, class: "edge" }),
      // with blanks between, which are not drawn, for those who hear the texts as one
      drawn("g", { id: `${clip}-texts` }, ...texts.flatMap((text) => [text, " "])),
      over,
    );
    svg.append(button);
    return { gate, row, array, fill, cover, over, text: texts[1], button, y, height };
  }

  /**
   * A gate's name, its value, and its activation if it is an unusual one.
   *
   * @param {string} gate
   * @param {string} array whose value the second text is
   * @param {number} x their middle
   * @param {number} y the gate's top
   */
  gateTexts(gate, array, x, y) {
    const { recording } = this.instrument;
    const texts = [
      drawn("text", { x, y: y + 26, class: "name" }, recording.row(array).label ?? ""),
      drawn("text", { x, y: y + 46, style: VALUE, class: "value", "data-value": array }),
    ];
    const activation = nameIfUnusual(recording.activations, gate);
    if (activation) {
      const at = {
        x,
        y: y + 60,
        style: ACTIVATION,
        class: "activation",
        ...narrowed(activation, GATE_WIDTH - 8),
      };
      texts.push(drawn("text", at, activation));
    }
    return texts;
  }

  /**
   * @param {SVGElement} svg
   * @param {NumberPlan} plan
   */
  drawNumber(svg, { symbol, of, back = 0, x, y, end, middle }) {
    const anchor = end ? "end" : middle ? "middle" : "start";
    const attributes = {
      x,
      y,
      class: "number",
      "text-anchor": anchor,
      "data-value": of,
      "data-back": back,
    };
    const text = drawn("text", attributes);
    svg.append(text);
    return { text, symbol, of, back };
  }

  /**
   * @param {SVGElement} svg
   * @param {number} x
   * @param {number} y
   */
  drawCharacter(svg, x, y) {
    this.character = drawn("text", { x, y: y + 6, class: "read" });
    this.characterName = drawn("text", { x: x + 26, y: y + 5, class: "small" });
    svg.append(
      drawn("rect", { x: x - 17, y: y - 17, width: 34, height: 34, rx: 5, class: "tile" }),
      this.character,
      this.characterName,
    );
  }

  /**
   * A function of recorded values: for the selected unit, or as the mean over all units.
   *
   * @param {(v: Value) => number} flow
   */
  value(flow) {
    const { recording, t, unit, isMean } = this.instrument;
    if (!isMean) return flow((name, back = 0) => recording.at(name, t - back, unit));
    let [sum, k] = [0, 0];
    /** @type {Value} */
    const v = (name, back = 0) => recording.at(name, t - back, k);
    for (; k < recording.width; k++) sum += flow(v);
    return sum / recording.width;
  }

  /**
   * A wire's scale; for an unbounded state it ends at the unit's largest value, as in the strip.
   *
   * @param {Row} row
   * @returns {Scale}
   */
  scale(row) {
    const { recording, unit, isMean } = this.instrument;
    if (row.kind !== "states" || row.most === 1 || isMean)
      return { ...row, most: isMean ? 1 : row.most };
    let most = 1;
    for (let t = 0; t <= recording.steps; t++)
      most = Math.max(most, Math.abs(recording.at(row.name, t, unit)));
    return { ...row, most };
  }

  rescale() {
    const { unit, isMean, recording } = this.instrument;
    if (this.scaledFor === `${unit} ${isMean}`) return;
    this.scaledFor = `${unit} ${isMean}`;
    const scales = new Map(recording.rows.map((row) => [row, this.scale(row)]));
    for (const wire of this.wires) wire.scale = scales.get(wire.row) ?? wire.row;
  }

  // Updates numbers, names and the character at once; ease() animates gates and wires.
  mark() {
    const { recording, t, unit, isMean } = this.instrument;
    const cell = recording.cell.toUpperCase();
    this.rescale();
    const heading = isMean
      ? recording.say("instrument.cell_mean", { cell, n: recording.width, t })
      : recording.say("card.cell", { cell, unit, t });
    write(this.heading, recording.title ?? heading);
    this.mean.checked = isMean;
    for (const { text, symbol, of, back } of this.numbers)
      write(
        text,
        `${symbol}${below(t - back)} ${number(
          this.value((v) => v(of, back)),
          true,
        )}`,
      );
    write(this.character, recording.character(t));
    this.character.classList.toggle("long", recording.character(t).length > 2);
    write(this.characterName, `x${below(t)}  ${recording.say("instrument.reads")}`);
    const values = this.markGates();
    this.from = this.shown;
    this.to = [...values, ...this.wires.map(({ flow }) => this.value(flow))];
    if (this.from?.length !== this.to.length) this.from = this.to;
  }

  // Shows the gates' values, and returns them.
  markGates() {
    const { recording, t, gate: selected, playing } = this.instrument;
    return this.valves.map((valve) => {
      const value = this.value((v) => v(valve.array));
      const letter = valve.gate === "hidden" ? `h${below(t)}` : recording.letters[valve.gate];
      const shown = number(value, valve.row.signed);
      write(valve.text, `${letter} = ${shown}`);
      valve.button.setAttribute("aria-pressed", String(valve.gate === selected));
      if (!playing) {
        const name = { gate: valve.row.label, value: `${letter} = ${shown}` };
        // among several cells a click only marks the gate
        const says = recording.say(
          `instrument.${this.instrument.average ? "pick" : "mark"}_gate`,
          name,
        );
        valve.button.setAttribute("aria-label", says);
      }
      return value;
    });
  }

  /**
   * Shows values between the step before and this one.
   *
   * @param {number} share 1 for this step
   */
  ease(share) {
    const { from, to } = this;
    if (!from || !to) return;
    const shown = share < 1 ? to.map((end, i) => from[i] + (end - from[i]) * share) : to;
    this.shown = shown;
    this.fillGates(shown);
    const { recording } = this.instrument;
    this.wires.forEach(({ casing, wire, scale, thin, thick }, i) => {
      const value = shown[this.valves.length + i];
      const weight = thin + (thick - thin) * Math.min(1, Math.abs(value) / scale.most);
      wire.setAttribute("stroke", recording.colour(scale, value));
      wire.setAttribute("stroke-width", weight.toFixed(1));
      casing.setAttribute("stroke-width", (weight + 1.5).toFixed(1));
    });
  }

  /** @param {number[]} shown */
  fillGates(shown) {
    const { recording } = this.instrument;
    this.valves.forEach(({ row, fill, cover, over, y, height }, i) => {
      const part = Math.min(1, Math.abs(shown[i]) / row.most);
      const edges = { y: (y + height * (1 - part)).toFixed(1), height: (height * part).toFixed(1) };
      for (const shape of [fill, cover])
        for (const [edge, at] of Object.entries(edges)) shape.setAttribute(edge, at);
      fill.setAttribute("fill", recording.colour(row, shown[i]));
      over.style.fill = recording.ink(row, shown[i]);
    });
  }
}
