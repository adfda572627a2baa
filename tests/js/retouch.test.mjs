import assert from "node:assert/strict";
import { test } from "node:test";

import {
  alike,
  apart,
  changedLayout,
  changedNumbers,
  decodeArray,
} from "../../rnnviz/ui/components/retouch.js";

/** @import { Figure } from "../../rnnviz/instrument/static/plotly.d.ts" */

/**
 * @param {number[]} values
 * @param {string} [shape]
 */
function packed(values, shape) {
  const bytes = new Uint8Array(new Float32Array(values).buffer);
  const array = { dtype: "f4", bdata: btoa(String.fromCharCode(...bytes)) };
  return shape === undefined ? array : { ...array, shape };
}

/** @returns {Figure} */
function figure() {
  return {
    data: [
      { type: "scatter", name: "h", x: [1, 2], y: packed([1, 2]) },
      { type: "heatmap", z: packed([1, 2, 3, 4], "2, 2"), zmax: 1 },
    ],
    layout: { xaxis: { range: [0, 2], title: "t" }, legend: { x: 1 } },
  };
}

/** @param {(figure: Figure) => void} change */
function changed(change) {
  const [before, now] = [figure(), figure()];
  change(now);
  return { before: apart(before), now: apart(now) };
}

test("arrays are decodeArray as by Plotly", () => {
  assert.deepEqual(decodeArray([1, "a"]), [1, "a"]);
  assert.deepEqual(decodeArray(packed([1.5, -2])), new Float32Array([1.5, -2]));
  assert.deepEqual(decodeArray(packed([1, 2, 3, 4, 5, 6], "2, 3")), [
    new Float32Array([1, 2, 3]),
    new Float32Array([4, 5, 6]),
  ]);
  assert.deepEqual(
    decodeArray({ dtype: "i2", bdata: btoa("\x01\x00\xff\xff") }),
    new Int16Array([1, -1]),
  );
});

test("arrays are compared by their bytes or entries", () => {
  assert.ok(alike(packed([1, 2]), packed([1, 2])));
  assert.ok(!alike(packed([1, 2]), packed([1, 3])));
  assert.ok(!alike(packed([1, 2]), { ...packed([1, 2]), dtype: "i4" }));
  assert.ok(!alike(packed([1, 2]), [1, 2]));
  assert.ok(alike([1, null], [1, null]));
  assert.ok(!alike([1, 2], [2, 1]));
});

test("a figure is split into parts without being changed", () => {
  const whole = figure();
  const { numbers, names, axes } = apart(whole);
  assert.deepEqual(numbers, [
    { x: [1, 2], y: packed([1, 2]) },
    { z: packed([1, 2, 3, 4], "2, 2") },
  ]);
  assert.deepEqual(names, ["h", undefined]);
  assert.deepEqual(axes, { xaxis: { range: [0, 2] } });
  assert.deepEqual(whole, figure());
});

test("changed numbers, names and ranges do not change the rest", () => {
  const { before, now } = changed(({ data, layout }) => {
    data[0].y = packed([5, 6]);
    data[0].name = "h at 3";
    Object.assign(layout.xaxis ?? {}, { range: [0, 3] });
  });
  assert.equal(now.rest, before.rest);
  assert.deepEqual(changedNumbers(before, now), [["y"], []]);
  assert.deepEqual(changedLayout(before, now), { "xaxis.range": [0, 3] });
});

/** @type {Record<string, (figure: Figure) => void>} */
const OTHERS = {
  "of another length": ({ data }) => Object.assign(data[0], { y: packed([1, 2, 3]) }),
  "of another type": ({ data }) =>
    Object.assign(data[0], { y: { ...packed([1, 2]), dtype: "i4" } }),
  "of another shape": ({ data }) => Object.assign(data[1], { z: packed([1, 2, 3, 4], "1, 4") }),
  "without a name": ({ data }) => Object.assign(data[0], { name: undefined }),
  "with another scale": ({ data }) => Object.assign(data[1], { zmax: 2 }),
  "with ticks": ({ layout }) => Object.assign(layout.xaxis ?? {}, { tickvals: [1] }),
  "with another title": ({ layout }) => Object.assign(layout.xaxis ?? {}, { title: "time" }),
  "with another layout": ({ layout }) => Object.assign(layout, { legend: { x: 0 } }),
};
for (const [name, change] of Object.entries(OTHERS))
  test(`a figure ${name} is another figure`, () => {
    const { before, now } = changed(change);
    assert.notEqual(now.rest, before.rest);
  });
