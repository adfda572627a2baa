// When the address of the page is written while a value changes.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

/** @type {string[]} */
const written = [];
const place = { search: "?gain=1.00", pathname: "/gradients", hash: "" };
let now = 10_000;
Object.assign(globalThis, {
  window: globalThis,
  location: place,
  history: {
    state: null,
    replaceState(/** @type {unknown} */ _, /** @type {string} */ __, /** @type {string} */ url) {
      written.push(url);
      place.search = url.slice(url.indexOf("?"));
    },
  },
});
mock.method(performance, "now", () => now);
mock.timers.enable({ apis: ["setTimeout"] });
const script = new URL("../../rnnviz/ui/components/pending.js", import.meta.url);
const { page, setPending } = await import(script.href);

/** @param {number} ms */
function wait(ms) {
  now += ms;
  mock.timers.tick(ms);
}

test("the first change is in the address at once, a drag every two seconds, the last value at rest", () => {
  setPending("gain", "1.01");
  assert.deepEqual(written, ["/gradients?gain=1.01"]);
  for (let step = 2; step <= 500; step++) {
    wait(10);
    setPending("gain", `${1 + step / 100}`);
  }
  assert.deepEqual(written.slice(1), ["/gradients?gain=3.01", "/gradients?gain=5.01"]);
  wait(399);
  assert.equal(written.length, 3);
  wait(1);
  assert.equal(written.at(-1), "/gradients?gain=6");
  page.pending.clear();
  wait(5000);
  assert.equal(written.length, 4);
});
