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
const { address, page, setPending, setting } = await import(script.href);

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

test("an address that names no setting is the first view's, and the default view names one", () => {
  Object.assign(page, {
    names: ["init", "gain", "forget_bias", "language"],
    firstView: { init: "orthogonal", forget_bias: "3" },
    defaultView: { init: "torch_default" },
  });
  const after = (/** @type {string} */ search, /** @type {[string, string][]} */ ...changes) => {
    place.search = search;
    page.pending.clear();
    for (const [name, value] of changes) page.pending.set(name, value);
    return String(address());
  };
  assert.equal(after(""), "");
  assert.equal(after("?language=ko"), "language=ko");
  assert.equal(after("", ["gain", "1.5"]), "init=orthogonal&gain=1.5&forget_bias=3");
  assert.equal(after("?init=orthogonal&gain=1.5&forget_bias=3", ["gain", ""]), "");
  assert.equal(after("?gain=1.5", ["gain", ""]), "init=torch_default");
  assert.equal(after("?language=ko", ["forget_bias", ""]), "init=orthogonal&language=ko");
  assert.equal(after("?utm=1&gain=2", ["gain", "1.5"]), "gain=1.5&utm=1");
  place.search = "?language=ko";
  page.pending.clear();
  assert.equal(setting("forget_bias"), "3");
  place.search = "?gain=2";
  assert.equal(setting("forget_bias"), "");
  page.pending.clear();
});
