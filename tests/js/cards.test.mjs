import assert from "node:assert/strict";
import { test } from "node:test";

import { Explained } from "../../rnnviz/instrument/static/explained.js";
import { lineOf, panelsOf } from "../../rnnviz/instrument/static/lines.js";
import { number, Recording } from "../../rnnviz/instrument/static/recording.js";
import { largestTerms } from "../../rnnviz/instrument/static/terms.js";
import { endOfAxis, timeTicks } from "../../rnnviz/instrument/static/ticks.js";

/**
 * @param {object} header
 * @param {number[]} numbers
 */
function payload(header, numbers) {
  const line = new TextEncoder().encode(`${JSON.stringify(header)}\n`);
  return new Uint8Array([...line, ...new Uint8Array(new Float32Array(numbers).buffer)]);
}

const STEPS = 2;
const SCALE = ["#ffffff", "#000000"];
const COLOURS = { ink: "#000000", ground: "#ffffff", gate: SCALE, signed: SCALE };

/**
 * A recording of two steps and two units.
 *
 * @param {[name: string, signed: boolean, most: number, values: number[]][]} rows
 */
function recordingOf(rows) {
  const header = {
    reading: "text",
    cell: "gru",
    steps: STEPS,
    units: [0, 1],
    rows: rows.map(([name, signed, most]) => ({ name, signed, most })),
    initial: ["hidden_state"],
    characters: ["a", "b"],
    unknown: [],
    breaks: [],
    words: { "plot.time": "step", "plot.time_characters": "character" },
    colours: COLOURS,
  };
  return new Recording(payload(header, [...rows.flatMap(([, , , values]) => values), 0.5, -0.5]));
}

const RESETS = [0.5, 0.25, 0.75, 0.5];
const GRU = recordingOf([
  ["update_gate", false, 1, [0.25, 0.25, 0.5, 0.75]],
  ["reset_gate", false, 1, RESETS],
  ["hidden_state", true, 1, [0.25, -0.25, 1, 1]],
]);

/** @param {boolean} resetAfter */
function explained(resetAfter) {
  const header = {
    reading: "text",
    unit: 1,
    gates: ["update_gate", "hidden_candidate"],
    biases: [
      [0.125, 0.25],
      [1, 2],
    ],
    peepholes: {},
    reset_after: resetAfter,
    words: {},
  };
  const inputs = [1, 2, 3, 4];
  const sums = [5, 6, 7, 8];
  return new Explained(payload(header, [...inputs, ...sums, 2, 4, 8, 16]));
}

test("terms of a gate are weights times the state before", () => {
  const first = explained(true).sum(GRU, "update_gate", 1);
  assert.deepEqual([...first.units], [2 * 0.5, 4 * -0.5]); // the initial state
  assert.deepEqual([first.input, first.bias, first.total, first.cell], [1, 0.375, 5, 0]);
  const second = explained(true).sum(GRU, "update_gate", 2);
  assert.deepEqual([...second.units], [2 * 0.25, 4 * -0.25]);
  assert.equal(second.input, 2);
});

test("a reset after the product scales its terms and bias, one before it each state", () => {
  const after = explained(true).sum(GRU, "hidden_candidate", 2);
  assert.deepEqual([...after.units], [0.5 * 8 * 0.25, 0.5 * 16 * -0.25]); // r of unit 1
  assert.equal(after.bias, 1 + 0.5 * 2);
  const before = explained(false).sum(GRU, "hidden_candidate", 2);
  assert.deepEqual([...before.units], [8 * 0.75 * 0.25, 16 * 0.5 * -0.25]); // r of each unit
  assert.equal(before.bias, 3);
});

test("slots are filled with numbers, signs and brackets", () => {
  const text = explained(true).writer(GRU, 2);
  const slots = ["t", "before", "update_gate", "update_gate.rest", "update_gate.sum"];
  assert.deepEqual(slots.map(text), ["2", "1", "0.75", "0.25", "6.00"]);
  assert.equal(text("+update_gate.state"), "− 0.50");
  assert.equal(text("+update_gate.bias"), "+ 0.38");
  assert.equal(text("(hidden_state.before"), "(−0.25)");
  assert.equal(text("(hidden_state"), "1.00");
});

test("numbers are rounded as in Python: halves to even, large ones as powers", () => {
  // f"{x:.2f}" of Python
  const known = { 0.125: "0.12", 0.375: "0.38", 0.625: "0.62", 2.675: "2.67", 1.005: "1.00" };
  for (const [value, text] of Object.entries(known)) {
    assert.equal(number(Number(value)), text);
    assert.equal(number(-Number(value)), `−${text}`);
  }
  assert.equal(number(-0.001), "0.00");
  assert.equal(number(0.5, true), "+0.50");
  assert.equal(number(-1.5e16), "−1.50 · 10¹⁶");
  assert.equal(number(Number.NaN), "NaN");
  assert.deepEqual([number(Infinity, true), number(-Infinity)], ["+∞", "−∞"]);
});

test("the largest terms have bars, the others share one, and all sum to the whole", () => {
  const units = Float64Array.from([1, -8, 2, -2, 0, 7, 3, 4, 5]);
  const terms = largestTerms({ input: 9, units, bias: -1, cell: 6, total: 0 }, true);
  const kinds = terms.map(({ kind, n }) => (n === undefined ? kind : `${kind} ${n}`));
  const shown = [1, 5, 8, 7, 6, 2].map((k) => `unit ${k}`); // of ±2 the first
  assert.deepEqual(kinds, ["input", ...shown, "others 3", "cell", "bias"]);
  const total = terms.reduce((sum, { value }) => sum + value, 0);
  assert.equal(total, 9 + units.reduce((sum, term) => sum + term) + 6 - 1);
});

test("terms of 0 have no bar of their own", () => {
  const terms = largestTerms(
    { input: 1, units: new Float64Array(3), bias: 0, cell: 0, total: 1 },
    false,
  );
  assert.deepEqual(terms[1], { kind: "others", value: 0, n: 3 });
  assert.equal(terms.length, 3);
});

test("an axis ends at a round number", () => {
  const ends = [0, 0.043, 0.51, 4.73, 9.6, 11, 14.2].map(endOfAxis);
  assert.deepEqual(ends, [1, 0.045, 0.55, 5, 10, 15, 15]);
});

test("arrays of one scale share a panel; others have their own", () => {
  const recording = recordingOf([
    ["forget_gate", false, 1, RESETS],
    ["input_gate", false, 1, RESETS],
    ["cell_candidate", true, 1, RESETS],
    ["cell_state", true, 9, [1, -3, 2, 0]],
    ["hidden_state", true, 1, RESETS],
  ]);
  const panels = panelsOf(recording, 1).map(({ rows, scale }) => [
    rows.map(({ name }) => name).join(),
    scale,
  ]);
  assert.deepEqual(panels, [
    ["forget_gate,input_gate", { signed: false, most: 1 }],
    ["cell_candidate,hidden_state", { signed: true, most: 1 }],
    ["cell_state", { signed: true, most: 3 }],
  ]);
});

test("a line has a point in the middle of each step, from the top of its scale", () => {
  assert.equal(
    lineOf(GRU, "reset_gate", 1, { signed: false, most: 1 }),
    "M0.5 0.7500L1.5 0.5000h0",
  );
  assert.equal(
    lineOf(GRU, "hidden_state", 1, { signed: true, most: 2 }),
    "M0.5 0.5625L1.5 0.2500h0",
  );
  const gaps = recordingOf([["hidden_state", true, 1, [0, Number.NaN, 0, 0.5]]]);
  assert.equal(lineOf(gaps, "hidden_state", 1, { signed: true, most: 1 }), "M1.5 0.2500h0");
});

test("the axis has characters where they fit", () => {
  assert.deepEqual(timeTicks(GRU, 14), {
    each: true,
    ticks: [
      { t: 1, text: "a" },
      { t: 2, text: "b" },
    ],
    name: "character",
  });
  assert.deepEqual(timeTicks(GRU, 13), { each: false, ticks: [], name: "step" });
});
