// The sums and states of one unit at any step, from its weights (card_payload.py) and the recorded states.
// The arithmetic is that of explain/terms.py; tests compare all its numbers with Python's.

import { number, splitPayload } from "./recording.js";

/** @import { Recording } from "./recording.js" */
/** @import { Sum, UnitHeader } from "./types.d.ts" */

export class Explained {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    /** @type {{ header: UnitHeader, body: Uint8Array }} */
    const { header, body } = splitPayload(bytes);
    this.header = header;
    this.reading = header.reading;
    this.unit = header.unit;
    this.gates = header.gates;
    this.words = header.words;
    this.numbers = new Float32Array(body.slice().buffer);
  }

  /**
   * The terms of a gate's sum at step t, from 1.
   *
   * @param {Recording} recording
   * @param {string} gate
   * @param {number} t
   * @returns {Sum}
   */
  sum(recording, gate, t) {
    const { unit, gates, header } = this;
    const { steps } = recording;
    const at = gates.indexOf(gate);
    const weights = 2 * gates.length * steps + at * recording.width;
    const resets = gate === "hidden_candidate";
    const reset = resets && header.reset_after ? recording.at("reset_gate", t, unit) : 1;
    const before = recording.all("hidden_state", t - 1);
    const r = resets && !header.reset_after ? recording.all("reset_gate", t) : undefined;
    const units = new Float64Array(recording.width);
    for (let k = 0; k < units.length; k++)
      units[k] = reset * this.numbers[weights + k] * (r ? r[k] * before[k] : before[k]);
    const [input, state] = header.biases[at];
    return {
      input: this.numbers[at * steps + t - 1],
      units,
      bias: input + reset * state,
      cell: this.peephole(recording, gate, t),
      total: this.numbers[(gates.length + at) * steps + t - 1],
    };
  }

  /**
   * The term of a gate's peephole; the output gate sees the cell state after the step.
   *
   * @param {Recording} recording
   * @param {string} gate
   * @param {number} t
   */
  peephole(recording, gate, t) {
    const weight = this.header.peepholes[gate];
    if (weight === undefined) return 0;
    return weight * recording.at("cell_state", gate === "output_gate" ? t : t - 1, this.unit);
  }

  /**
   * The texts of an equation's slots (explain/equations.py) at step t.
   *
   * @param {Recording} recording
   * @param {number} t
   */
  writer(recording, t) {
    /** @type {Map<string, Sum>} */
    const sums = new Map(this.gates.map((gate) => [gate, this.sum(recording, gate, t)]));
    /** @param {string} slot */
    return (slot) => {
      if (slot === "t") return String(t);
      if (slot === "before") return String(t - 1);
      const kind = slot[0];
      const [name, part] = slot.replace(/^[+(]/, "").split(".");
      const sum = sums.get(name);
      const value = sum && part ? partOf(sum, part) : undefined;
      return written(number(value ?? this.value(recording, name, part, t)), kind);
    };
  }

  /**
   * A gate or state.
   *
   * @param {Recording} recording
   * @param {string} name
   * @param {string | undefined} part
   * @param {number} t
   */
  value(recording, name, part, t) {
    const array = name === "hidden" ? "hidden_state" : name;
    const value = recording.at(array, part === "before" ? t - 1 : t, this.unit);
    return part === "rest" ? 1 - value : value;
  }
}

/**
 * A part of a sum by the name of its slot; undefined for a part of the gate's value.
 *
 * @param {Sum} sum
 * @param {string} part
 */
function partOf(sum, part) {
  /** @type {Record<string, number | undefined>} */
  const parts = { input: sum.input, bias: sum.bias, cell: sum.cell, sum: sum.total };
  return part === "state" ? sum.units.reduce((all, term) => all + term, 0) : parts[part];
}

/**
 * A number as a summand with its sign, as a factor, in brackets if it is negative, or alone.
 *
 * @param {string} text
 * @param {string} kind
 */
function written(text, kind) {
  const isNegative = text.startsWith("−");
  if (kind === "+") return isNegative ? `− ${text.slice(1)}` : `+ ${text}`;
  return kind === "(" && isNegative ? `(${text})` : text;
}
