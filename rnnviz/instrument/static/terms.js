// What drives the selected gate of the selected unit at the current step: the input's term, the largest
// terms of the previous state, the other units together, a peephole's and the bias. They sum to the
// pre-activation. All steps of a gate have one axis.

import { Bars } from "./bars.js";
import { element, roomyNote, write } from "./elements.js";
import { filled, number } from "./recording.js";
import { endOfAxis } from "./ticks.js";

/** @import { Explained } from "./explained.js" */
/** @import { Recording } from "./recording.js" */
/** @import { InstrumentView, Sum } from "./types.d.ts" */
/** @typedef {{ kind: "input" | "unit" | "others" | "cell" | "bias", value: number, n?: number }} Term */

const MOST_TERMS = 6; // units with a bar of their own, as many as fit beside the drawing of the cell

export class Terms {
  /** @param {InstrumentView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.root = element("div", "terms");
    this.heading = element("h2", "rnnviz-heading");
    this.note = element("p", "rnnviz-note");
    this.bars = new Bars("signed");
    this.total = roomyNote();
    this.root.append(this.heading, this.note, this.bars.root, this.total.root);
    this.gate = ""; // whose axis is drawn
  }

  draw() {
    this.gate = "";
  }

  // Draws the axis of the selected gate; every gate has as many rows.
  paint() {
    const { explained, recording, gate } = this.instrument;
    if (!explained) return;
    this.gate = gate;
    const end = endOfAxis(largestTerm(explained, recording, gate));
    const longest = { a: number(-10 * end), value: "−0.00" };
    write(this.total.room, filled(explained.words["card.total"], longest));
    const count = 3 + MOST_TERMS + (Object.keys(explained.header.peepholes).length ? 1 : 0);
    this.bars.draw(count, [
      [-end, `−${end}`],
      [0, "0"],
      [end, `+${end}`],
    ]);
  }

  mark() {
    const { explained, recording, t, gate, unit } = this.instrument;
    this.root.classList.toggle("behind", explained?.unit !== unit);
    if (!explained?.gates.includes(gate)) return;
    if (this.gate !== gate) this.paint();
    const { words, header } = explained;
    write(this.heading, header.questions[gate]);
    write(this.note, filled(words["instrument.row_heading"], { unit: explained.unit, t }));
    const sum = explained.sum(recording, gate, t);
    const character = recording.character(t);
    this.bars.show(
      largestTerms(sum, gate in header.peepholes).map(({ kind, value, n }) => ({
        label: labelOf(words, kind, character, n),
        value,
        text: number(value, true),
      })),
    );
    const value = number(explained.value(recording, gate, undefined, t), true);
    write(this.total.note, filled(words["card.total"], { a: number(sum.total, true), value }));
  }
}

/**
 * @param {Record<string, string>} words
 * @param {Term["kind"]} kind
 * @param {string} character
 * @param {number | undefined} n
 */
function labelOf(words, kind, character, n) {
  if (kind === "input") return filled(words["plot.reads"], { what: character });
  if (kind === "unit") return filled(words["plot.h_of_unit"], { unit: n });
  if (kind === "others") return filled(words["plot.other_units"], { n });
  return words[kind === "cell" ? "plot.peephole" : "plot.bias"];
}

/**
 * The terms of a sum that have a bar, in order.
 *
 * @param {Sum} sum
 * @param {boolean} sees whether the gate has a peephole
 * @returns {Term[]}
 */
export function largestTerms({ input, units, bias, cell }, sees) {
  const shown = largest(units, MOST_TERMS);
  let others = 0;
  units.forEach((value, k) => {
    if (!shown.includes(k)) others += value;
  });
  /** @type {Term[]} */
  const terms = [{ kind: "input", value: input }];
  for (const n of shown) terms.push({ kind: "unit", value: units[n], n });
  const n = units.length - shown.length;
  if (n) terms.push({ kind: "others", value: others, n });
  if (sees) terms.push({ kind: "cell", value: cell });
  return [...terms, { kind: "bias", value: bias }];
}

/**
 * The indices of the largest absolute values, largest first; none of a 0.
 *
 * @param {Float64Array} values
 * @param {number} count
 */
function largest(values, count) {
  /** @type {number[]} */
  const found = [];
  for (let k = 0; k < values.length; k++) {
    const size = Math.abs(values[k]);
    let at = found.length;
    while (at > 0 && Math.abs(values[found[at - 1]]) < size) at--;
    if (size > 0 && at < count) {
      found.splice(at, 0, k);
      found.length = Math.min(found.length, count);
    }
  }
  return found;
}

/**
 * The largest absolute value of a gate's bars over all steps.
 *
 * @param {Explained} explained
 * @param {Recording} recording
 * @param {string} gate
 */
function largestTerm(explained, recording, gate) {
  let most = 0;
  for (let t = 1; t <= recording.steps; t++) {
    const sum = explained.sum(recording, gate, t);
    for (const { value } of largestTerms(sum, gate in explained.header.peepholes))
      most = Math.max(most, Math.abs(value));
  }
  return most;
}
