import assert from "node:assert/strict";
import { test } from "node:test";

import {
  between,
  brief,
  contrast,
  pythonText,
  read,
  rgb,
  rounded,
  signed,
  step,
  written,
} from "../../rnnviz/ui/components/numbers.js";

test("a pixel is worth 0.01, or a unit of the third digit from 10 on", () => {
  assert.deepEqual([0, 0.5, -9.99].map(step), [0.01, 0.01, 0.01]);
  assert.deepEqual([10, -99, 100, 12345].map(step), [0.1, 0.1, 1, 100]);
});

test("a rounded number is the nearest multiple, without rounding error, never −0", () => {
  assert.equal(rounded(0.1 + 0.2, 0.01), 0.3);
  assert.equal(rounded(1234.4, 1), 1234);
  assert.ok(Object.is(rounded(-0.001, 0.01), 0));
});

test("a brief number has four decimals or digits, and seven characters at most", () => {
  assert.deepEqual(
    [0, 1, -1, 0.05752, -0.0333, 1.23456, -9.99994, 0.0012345, 9.99996, 12.3456, 99999].map(brief),
    // biome-ignore format: two lines are easier to compare
    ["0", "1.0000", "−1.0000", "0.0575", "−0.0333", "1.2346", "−9.9999", "0.0012", "10", "12.35",
      "100000"],
  );
});

test("a brief number that is large or small is in scientific notation", () => {
  assert.deepEqual(
    [1e5, 123456, -123456, 1.23456e-7, -1.23456e-7, 1.5e-300, -1.29e-300].map(brief),
    ["1e5", "1.235e5", "−1.23e5", "1.23e−7", "−1.2e−7", "1.5e−300", "−1.3e−300"],
  );
});

test("a number in the input has six digits", () => {
  assert.deepEqual([1 / 3, -2, 1e-9].map(written), ["0.333333", "−2", "1e−9"]);
  assert.equal(signed("-1e-9"), "−1e−9");
});

test("a text is read as a number, also in full width", () => {
  assert.deepEqual(
    ["1", "-1.5", "−1.5", "+2", ".5", "5.", "1e-3"].map(read),
    [1, -1.5, -1.5, 2, 0.5, 5, 0.001],
  );
  assert.deepEqual(["－１．５", "＋２ｅ３"].map(read), [-1.5, 2000]);
  assert.ok(Object.is(read("-0"), 0));
});

test("other texts are not numbers", () => {
  const others = ["", " 1", "1,5", "0x10", "Infinity", "NaN", "1e999", "--1", "1e", ".", "1 000"];
  assert.deepEqual(
    others.map(read),
    others.map(() => null),
  );
});

test("a colour between two is interpolated", () => {
  assert.deepEqual(rgb("#0a80ff"), [10, 128, 255]);
  /** @type {import("../../rnnviz/ui/components/numbers.js").Stop[]} */
  const stops = [
    [0, [0, 0, 0]],
    [0.5, [100, 200, 50]],
    [1, [255, 255, 255]],
  ];
  assert.deepEqual(
    [0, 0.25, 0.5, 0.75, 1].map((share) => between(stops, share)),
    [
      [0, 0, 0],
      [50, 100, 25],
      [100, 200, 50],
      [178, 228, 153],
      [255, 255, 255],
    ],
  );
});

test("contrast is WCAG's, in either order", () => {
  const [black, white, grey] = [
    [0, 0, 0],
    [255, 255, 255],
    [119, 119, 119],
  ];
  assert.equal(contrast(black, white), 21);
  assert.equal(contrast(white, black), 21);
  assert.equal(contrast(grey, grey), 1);
  // #767676 is the lightest grey with 4.5 : 1 on white
  assert.equal(contrast(grey, white).toFixed(2), "4.48");
});

test("pythonText writes what Python's repr does", () => {
  for (const [value, repr] of [
    [0.0, "0.0"],
    [1.0, "1.0"],
    [-2.0, "-2.0"],
    [0.5, "0.5"],
    [-0.0375, "-0.0375"],
    [0.0001, "0.0001"],
    [1e-5, "1e-05"],
    [-1.5e-7, "-1.5e-07"],
    [123456.75, "123456.75"],
    [1000000000000000.0, "1000000000000000.0"],
    [1e16, "1e+16"],
    [2.5e21, "2.5e+21"],
    [1e-300, "1e-300"],
    [0.30000000000000004, "0.30000000000000004"],
  ])
    assert.equal(pythonText(/** @type {number} */ (value)), repr);
});
