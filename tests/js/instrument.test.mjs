import assert from "node:assert/strict";
import { test } from "node:test";

import { nameIfUnusual, nameOf } from "../../rnnviz/instrument/static/activations.js";
import { narrowed } from "../../rnnviz/instrument/static/elements.js";
import { PLANS } from "../../rnnviz/instrument/static/plans.js";
import {
  below,
  number,
  Recording,
  splitPayload,
} from "../../rnnviz/instrument/static/recording.js";
import { endsOf } from "../../rnnviz/instrument/static/rows.js";

const HEADER = {
  version: "1",
  cell: "gru",
  steps: 3,
  units: [1, 0],
  rows: [
    { name: "update_gate", kind: "gates", gate: "update_gate", signed: false, most: 1 },
    { name: "hidden_state", kind: "states", gate: "hidden_state", signed: true, most: 2 },
  ],
  initial: ["hidden_state"],
  characters: ["a", "é", "b"],
  unknown: [1],
  breaks: [2],
  words: { reads: "{t}: {character}" },
  fastest: 8,
  colours: {
    ink: "#000000",
    muted: "#000000",
    line: "#000000",
    ground: "#ffffff",
    selected: "#000000",
    gate: ["#ffffff", "#000000"],
    signed: ["#ff0000", "#ffffff", "#0000ff"],
  },
};
// (step, unit) of both rows, then the initial state
const NUMBERS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, -2, 2, -1, 1, 0, 0.5, 0.25, 0.75];

/**
 * @param {object} changes
 * @param {number[]} numbers
 */
function message(changes = {}, numbers = NUMBERS) {
  const line = new TextEncoder().encode(`${JSON.stringify({ ...HEADER, ...changes })}\n`);
  return new Uint8Array([...line, ...new Uint8Array(new Float32Array(numbers).buffer)]);
}

const GATE = { signed: false, most: 1 };
const STATE = { signed: true, most: 2 };

test("a payload is a line of JSON and bytes", () => {
  const { header, body } = splitPayload(
    new Uint8Array([...new TextEncoder().encode('{"a":1}\n'), 10, 7]),
  );
  assert.deepEqual(header, { a: 1 });
  assert.deepEqual([...body], [10, 7]);
});

test("values are read by array, step and unit, at any byte offset", () => {
  const odd = new Uint8Array([0, ...message()]).subarray(1);
  for (const recording of [new Recording(message()), new Recording(odd)]) {
    assert.equal(recording.at("update_gate", 1, 1), Math.fround(0.2));
    assert.equal(recording.at("update_gate", 3, 0), Math.fround(0.5));
    assert.equal(recording.at("hidden_state", 2, 1), 1);
  }
});

test("step 0 is the initial state, and 0 for arrays without one", () => {
  const recording = new Recording(message());
  assert.equal(recording.at("hidden_state", 0, 1), 0.75);
  assert.equal(recording.at("update_gate", 0, 1), 0);
});

test("means are over blocks of steps and of units in the order of the rows", () => {
  const recording = new Recording(message());
  assert.deepEqual([...recording.pooled("hidden_state", 3, 2)], [2, 1, 0.5, -2, -1, 0]);
  assert.deepEqual([...recording.pooled("hidden_state", 1, 1)], [Math.fround(0.5 / 6)]);
});

test("more blocks than units repeat them", () => {
  const recording = new Recording(message());
  assert.deepEqual(
    [...recording.pooled("hidden_state", 1, 4)].map((v) => v.toFixed(3)),
    ["1.167", "1.167", "-1.000", "-1.000"],
  );
});

test("colours are interpolated, and clipped at the ends of the scale", () => {
  const recording = new Recording(message());
  assert.equal(recording.colour(GATE, 0), "rgb(255 255 255)");
  assert.equal(recording.colour(GATE, 0.6), "rgb(102 102 102)");
  assert.equal(recording.colour(GATE, 1.5), "rgb(0 0 0)");
  assert.equal(recording.colour(STATE, -2), "rgb(255 0 0)");
  assert.equal(recording.colour(STATE, 0), "rgb(254 254 255)");
  assert.equal(recording.colour(STATE, 9), "rgb(0 0 255)");
  assert.equal(recording.colour(STATE, Number.NaN), "rgb(255 0 0)");
});

test("letters are light on dark colours", () => {
  const light = new Recording(message());
  assert.deepEqual([light.ink(GATE, 0), light.ink(GATE, 1)], ["#1c2330", "#ffffff"]);
});

test("letters on any colour of a scale have a contrast of 4.5 or more", () => {
  const recording = new Recording(message());
  const of = (/** @type {number[]} */ colour) => {
    const [r, g, b] = colour.map((part) => part / 255);
    const [x, y, z] = [r, g, b].map((c) =>
      c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  for (let grey = 0; grey < 256; grey++) {
    recording.shade = () => [grey, grey, grey];
    const ink = Number.parseInt(recording.ink(GATE, 0).slice(1), 16);
    const [light, dark] = [of([grey, grey, grey]), of([ink >> 16, (ink >> 8) & 255, ink & 255])];
    const contrast = (Math.max(light, dark) + 0.05) / (Math.min(light, dark) + 0.05);
    assert.ok(contrast >= 4.5, `grey ${grey}: ${contrast}`);
  }
});

test("a text is filled with its values, and each step has its character", () => {
  const recording = new Recording(message());
  assert.equal(recording.say("reads", { t: 2, character: recording.character(2) }), "2: é");
  assert.equal(recording.character(4), "");
  assert.deepEqual([recording.unknown.has(1), recording.breaks.has(1)], [true, false]);
});

test("a number has two decimals, a sign on request, and zero has none", () => {
  assert.deepEqual(
    [0.126, -0.126, -0.001, 12].map((v) => number(v)),
    ["0.13", "−0.13", "0.00", "12.00"],
  );
  assert.deepEqual(
    [0.126, -0.126, 0.001, 0].map((v) => number(v, true)),
    ["+0.13", "−0.13", "0.00", "0.00"],
  );
  assert.equal(below(1209), "₁₂₀₉");
});

test("a scale's ends have two digits, and mark values beyond them", () => {
  assert.deepEqual(endsOf(false, 1), ["0", "1"]);
  assert.deepEqual(endsOf(true, 1.26), ["−1.3", "1.3"]);
  assert.deepEqual(endsOf(true, 2.5, true), ["≤ −2.5", "≥ 2.5"]);
});

test("wires carry the terms of the cell's equation", () => {
  /** @type {Record<string, number>} */
  const values = { update_gate: 0.25, hidden_candidate: -0.5, hidden_state: 2 };
  /** @param {string} name */
  const v = (name, back = 0) => (back ? 4 : values[name]);
  const flows = PLANS.gru.wires.map(({ flow }) => flow(v));
  assert.deepEqual(flows.slice(0, 3), [4, 0.25 * 4, 2]); // h, z h, the new h
  assert.equal(flows[7], 0.75 * -0.5); // (1 − z) n
});

test("the wire from the cell state carries its activation, which is tanh unless it is sent", () => {
  const rows = ["cell_state", "hidden_state"].map((name) => ({ ...HEADER.rows[1], name }));
  const usual = new Recording(message({ rows }));
  const wire = PLANS.lstm.wires.find(({ d }) => d.startsWith("M556"));
  /** @param {Recording} recording */
  const carried = (recording) =>
    [1, 2, 3].map((t) => wire?.flow((name, back = 0) => recording.at(name, t - back, 1)));
  const c = [0.2, 0.4, 0.6].map(Math.fround);
  assert.deepEqual(carried(usual), c.map(Math.tanh));
  // two rows and the initial state as above, then (step, unit) of the activation
  const sent = [...NUMBERS, 0, 1.5, 0, 2.5, 0, 3.5];
  const other = new Recording(message({ rows, output: true }, sent));
  assert.deepEqual(carried(other), [1.5, 2.5, 3.5]);
  assert.deepEqual([other.at("hidden_state", 0, 0), other.at("hidden_state", 0, 1)], [0.25, 0.75]);
});

test("an activation is named where it is not the usual one", () => {
  const usual = { forget_gate: "sigmoid", cell_candidate: "tanh", hidden: "relu" };
  for (const gate of Object.keys(usual)) assert.equal(nameIfUnusual(usual, gate), "");
  const other = {
    forget_gate: "hard_sigmoid(0.2, 0.5)",
    cell_candidate: "sigmoid",
    update_gate: "tanh",
  };
  assert.deepEqual(
    Object.keys(other).map((gate) => nameIfUnusual(other, gate)),
    ["hard_sigmoid(0.2, 0.5)", "σ", "tanh"],
  );
  assert.deepEqual(["tanh", "identity", "leaky_relu(0.2)"].map(nameOf), [
    "tanh",
    "id",
    "leaky_relu(0.2)",
  ]);
});

test("a text is narrowed only where it does not fit", () => {
  assert.deepEqual(narrowed("tanh", 32), {});
  assert.equal(narrowed("softsign", 32).textLength, 32);
});
