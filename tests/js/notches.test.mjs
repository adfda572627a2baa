import assert from "node:assert/strict";
import { test } from "node:test";

import { unfold } from "../../rnnviz/ui/components/notches.js";

const plain = { decimals: 0, trimmed: false, comma: false, plus: "", minus: "−" };

test("runs and single texts", () => {
  assert.deepEqual(unfold({ ...plain, parts: ["none", [2, 3, 3]] }), ["none", "2", "5", "8"]);
  assert.deepEqual(unfold({ ...plain, parts: [] }), []);
});

test("signs and decimals", () => {
  const signed = { ...plain, decimals: 2, plus: "+" };
  assert.deepEqual(unfold({ ...signed, parts: [[-25, 25, 3]] }), ["−0.25", "+0.00", "+0.25"]);
});

test("zeros at the end are left out where they are trimmed", () => {
  const trimmed = { ...plain, decimals: 2, trimmed: true, minus: "-" };
  assert.deepEqual(unfold({ ...trimmed, parts: [[-5, 5, 4]] }), ["-0.05", "0", "0.05", "0.1"]);
});

test("thousands have commas", () => {
  const grouped = { ...plain, comma: true, decimals: 1 };
  const found = unfold({ ...grouped, parts: [[9999999, 1, 2]] });
  assert.deepEqual(found, ["999,999.9", "1,000,000.0"]);
});
