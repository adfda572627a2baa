// The sentences of the story, from recordings made by hand.

import assert from "node:assert/strict";
import { test } from "node:test";

const load = (/** @type {string} */ name) =>
  import(new URL(`../../rnnviz/instrument/static/${name}.js`, import.meta.url).href);
const { Recording } = await load("recording");
const { changesOfStates, chancesOfNext, followed, readByUnit } = await load("story");

const words = {
  "story.unit": "{unit}.",
  "story.varies_most": "{unit} most.",
  "story.follows": "{unit} follows ({score}).",
  "story.hardly_follows": "{unit} hardly ({score}).",
  "story.read_gate": "{character}: {gate}, {state}.",
  "story.read_state": "{character}: {state}.",
  "story.closes": "{name} closes {from} {to}",
  "story.opens": "{name} opens {from} {to}",
  "story.falls": "{name} falls {from} {to}",
  "story.rises": "{name} rises {from} {to}",
  "story.stays": "{name} stays {to}",
  "story.starts": "first {character}",
  "story.changes": "{t}: {most} {high}, {least} {low}",
  "story.changes_text": "{character}: {most} {high}, {least} {low}",
  "story.alike": "{t}: all {share}",
  "story.alike_text": "{character}: all {share}",
  "story.chance": "{name} {p}",
  "story.next": "{next}: {list}",
};

/**
 * A recording of two units over the characters abc.
 * @param {Record<string, number[]>} arrays by name, (step, unit)
 * @param {Record<string, number[]>} initial by name, (unit)
 * @param {object} more of the header
 */
function recorded(arrays, initial, more = {}) {
  const header = {
    rows: Object.keys(arrays).map((name) => ({
      name,
      label: name,
      kind: name.includes("state") ? "states" : "gates",
      signed: /state|candidate/.test(name),
    })),
    steps: 3,
    units: [0, 1],
    initial: Object.keys(initial),
    characters: ["a", "b", "c"],
    unknown: [],
    breaks: [],
    words: {},
    colours: { ground: "#ffffff", gate: ["#000000", "#ffffff"], signed: ["#000000", "#ffffff"] },
    ...more,
  };
  const values = [...Object.values(arrays), ...Object.values(initial)].flat();
  const line = new TextEncoder().encode(`${JSON.stringify(header)}\n`);
  const body = new Uint8Array(new Float32Array(values).buffer);
  return new Recording(new Uint8Array([...line, ...body]));
}

test("a unit follows a property from |r| = 0.5, with any sign", () => {
  const story = { scores: ["+0.78", "−0.50", "+0.49", ""], words };
  assert.equal(followed(story, 0), "0 follows (+0.78).");
  assert.equal(followed(story, 1), "1 follows (−0.50).");
  assert.equal(followed(story, 2), "2 hardly (+0.49).");
  assert.equal(followed(story, 3), "3.");
  assert.equal(followed({ scores: null, most: null, words }, 2), "2.");
  assert.equal(followed({ scores: null, most: 2, words }, 2), "2 most.");
  assert.equal(followed({ scores: null, most: 2, words }, 1), "1.");
});

test("the gate that changes most is named, never the candidate, and whether it crosses the middle", () => {
  const recording = recorded(
    {
      forget_gate: [0.9, 0, 0.1, 0, 0.45, 0],
      input_gate: [0.3, 0, 0.4, 0, 0.9, 0],
      cell_candidate: [-1, 0, 1, 0, -1, 0],
      cell_state: [0.5, 0, -0.25, 0, -0.254, 0],
      hidden_state: [9, 0, 8, 0, 7, 0],
    },
    { cell_state: [0.25, 0], hidden_state: [0, 0] },
  );
  const told = (/** @type {number} */ t, unit = 0) =>
    readByUnit(recording, words, unit, t).replace(/[\u2068\u2069]/g, "'");
  assert.equal(told(1), "'a': cell_state rises 0.25 0.50.");
  assert.equal(told(2), "'b': forget_gate closes 0.90 0.10, cell_state falls 0.50 −0.25.");
  assert.equal(told(3), "'c': input_gate opens 0.40 0.90, cell_state stays −0.25.");
  assert.equal(told(2, 1), "'b': forget_gate stays 0.00, cell_state stays 0.00.");
});

test("a network without gates has its state alone", () => {
  const recording = recorded(
    { hidden: [0, 0, 0, 0, 0, 0], hidden_state: [0.5, 0, 0.6, 0, 0.1, 0] },
    { hidden_state: [0, 0] },
  );
  recording.rows[0].signed = true;
  const told = readByUnit(recording, words, 0, 3).replace(/[\u2068\u2069]/g, "'");
  assert.equal(told, "'c': hidden_state falls 0.60 0.10.");
});

test("compared networks: the largest change and the smallest, and the chances of what came next", () => {
  const story = {
    names: ["one", "two", "three"],
    changes: [
      [null, 20, 5],
      [null, 93, 5],
      [null, 7, null],
    ],
    chances: [
      ["1%", "2%", ""],
      ["3%", "4%", ""],
      ["5%", "6%", ""],
    ],
    words,
  };
  const recording = recorded({ input: [0, 0, 0, 0, 0, 0] }, {});
  const plain = (/** @type {string} */ text) => text.replace(/[\u2068\u2069]/g, "'");
  assert.equal(plain(changesOfStates(recording, story, 1)), "first 'a'");
  assert.equal(plain(changesOfStates(recording, story, 2)), "'b': two 93, three 7");
  assert.equal(plain(changesOfStates(recording, story, 3)), "'c': all 5");
  assert.equal(plain(chancesOfNext(recording, story, 1)), "'b': one 1%, two 3%, three 5%");
  assert.equal(chancesOfNext(recording, story, 3), "");
  assert.equal(chancesOfNext(recording, { ...story, chances: null }, 1), "");
  recording.plain = true;
  assert.equal(changesOfStates(recording, story, 2), "2: two 93, three 7");
});
