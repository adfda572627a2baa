// The states of courier.js, without a browser: with mocks of time, the page's script and the server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const source = readFileSync(
  new URL("../../rnnviz/ui/components/courier.js", import.meta.url),
  "utf8",
).replaceAll(/^import .*\n|^export /gm, ""); // a script, whose globals are mocked

/** A courier with a mock clock; world.sent records its messages. */
function build(ports = {}) {
  const world = { now: 0, running: false, away: false, sent: [], freed: 0 };
  const timers = new Map();
  let next = 1;
  const add = (act, delay, every) => {
    timers.set(next, { act, at: world.now + (delay ?? 0), every });
    return next++;
  };
  const watchers = new Set();
  const context = vm.createContext({
    performance: { now: () => world.now },
    setTimeout: (act, delay) => add(act, delay),
    clearTimeout: (id) => timers.delete(id),
    setInterval: (act, delay) => add(act, delay, delay),
    clearInterval: (id) => timers.delete(id),
    runs: () => world.running,
    isAway: () => world.away,
    watchScript: (look) => {
      watchers.add(look);
      return () => watchers.delete(look);
    },
  });
  const names = "Courier, REST_MS, LOST_AFTER_MS, RUN_PATIENCE_MS, MAX_RETRIES";
  const { Courier, ...constants } = vm.runInContext(`${source}; ({ ${names} })`, context);
  const courier = new Courier({
    send: (message, number) => world.sent.push([message, number]),
    onFree: () => (world.freed += 1),
    ...ports,
  });
  const wait = (ms) => {
    const end = world.now + ms;
    for (;;) {
      const due = [...timers]
        .filter(([, { at }]) => at <= end)
        .sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, timer] = due;
      world.now = timer.at;
      if (timer.every) timer.at += timer.every;
      else timers.delete(id);
      timer.act();
    }
    world.now = end;
  };
  const run = (running) => {
    world.running = running;
    for (const look of [...watchers]) look();
  };
  return { courier, world, wait, run, timers, watchers, ...constants };
}

test("one message is in flight, and the newest waits for its answer", () => {
  const { courier, world } = build();
  courier.post("a");
  courier.post("b");
  courier.post("c");
  assert.deepEqual(world.sent, [["a", 1]]);
  assert.equal(courier.isIdle, false);
  courier.answer(1);
  assert.deepEqual(world.sent.slice(1), [["c", 2]]);
  courier.answer(1); // an older answer once more
  assert.equal(courier.isIdle, false);
  courier.answer(2);
  assert.equal(courier.isIdle, true);
  assert.equal(courier.inFlight, null);
});

test("messages for different places all arrive, in order", () => {
  const { courier, world } = build();
  courier.post("a", "1");
  courier.post("b", "2");
  courier.post("c", "3");
  courier.post("d", "2");
  for (const number of [1, 2, 3]) courier.answer(number);
  assert.deepEqual(world.sent, [
    ["a", 1],
    ["d", 2],
    ["c", 3],
  ]);
});

test("numbers continue from the last one that the server answered", () => {
  const { courier, world } = build();
  courier.answer(7);
  courier.post("a");
  assert.deepEqual(world.sent, [["a", 8]]);
  courier.answer(3); // from a session with fewer messages
  assert.equal(courier.number, 8);
});

test("a debounced act runs after the last change, or at once on flushNow", () => {
  const { courier, wait, REST_MS } = build();
  const done = [];
  courier.debounce(() => done.push(1));
  wait(REST_MS - 1);
  courier.debounce(() => done.push(2));
  wait(REST_MS - 1);
  assert.deepEqual(done, []);
  wait(1);
  assert.deepEqual(done, [2]);
  courier.debounce(() => done.push(3));
  assert.equal(courier.isIdle, false);
  courier.flushNow();
  assert.deepEqual(done, [2, 3]);
  wait(REST_MS);
  assert.deepEqual(done, [2, 3]);
  courier.flushNow(); // nothing is due
  assert.deepEqual(done, [2, 3]);
});

test("a post replaces the debounced act", () => {
  const { courier, world, wait, REST_MS } = build();
  courier.debounce(() => courier.post("old"));
  courier.post("new");
  courier.answer(1);
  wait(10 * REST_MS);
  assert.deepEqual(world.sent, [["new", 1]]);
});

test("a lost message is retried with growing delays, then given up", () => {
  const { courier, world, wait, LOST_AFTER_MS, MAX_RETRIES } = build();
  courier.post("a");
  wait(LOST_AFTER_MS);
  assert.equal(world.sent.length, 1);
  wait(500);
  assert.deepEqual(world.sent, [
    ["a", 1],
    ["a", 2],
  ]);
  wait(LOST_AFTER_MS * 2 - 500);
  assert.equal(world.sent.length, 2);
  wait(LOST_AFTER_MS * 2 ** (MAX_RETRIES + 2));
  assert.equal(world.sent.length, 1 + MAX_RETRIES);
  assert.equal(courier.isIdle, true);
  courier.post("b");
  courier.answer(courier.number);
  assert.equal(courier.retries, 0);
});

test("a lost message does not replace a newer one", () => {
  const { courier, world, wait, LOST_AFTER_MS } = build();
  courier.post("a");
  courier.post("b");
  wait(LOST_AFTER_MS + 500);
  assert.deepEqual(world.sent, [
    ["a", 1],
    ["b", 2],
  ]);
  courier.answer(2);
  wait(60_000);
  assert.equal(world.sent.length, 2);
});

test("while the page runs or the server is away, no message counts as lost", () => {
  for (const state of ["running", "away"]) {
    const { courier, world, wait, LOST_AFTER_MS } = build();
    courier.post("a");
    world[state] = true;
    wait(20 * LOST_AFTER_MS);
    assert.equal(world.sent.length, 1, state);
    world[state] = false;
    wait(LOST_AFTER_MS + 500);
    assert.equal(world.sent.length, 2, state);
  }
});

test("the next message waits for the end of a run, but not for long", () => {
  const { courier, world, wait, run, RUN_PATIENCE_MS } = build({ holdsForRun: () => true });
  courier.post("a");
  run(true);
  courier.answer(1);
  courier.post("b");
  assert.equal(world.sent.length, 1);
  run(false);
  assert.deepEqual(world.sent[1], ["b", 2]);
  run(true);
  courier.answer(2);
  courier.post("c");
  wait(RUN_PATIENCE_MS - 250);
  assert.equal(world.sent.length, 2);
  wait(500);
  assert.deepEqual(world.sent[2], ["c", 3]);
});

test("after abandon, nothing is sent and no timer is left", () => {
  const { courier, world, wait, timers, watchers } = build();
  courier.post("a");
  courier.post("b");
  courier.debounce(() => courier.post("c"));
  courier.abandon();
  wait(60_000);
  courier.answer(1);
  assert.deepEqual(world.sent, [["a", 1]]);
  assert.equal(courier.isIdle, true);
  assert.deepEqual([timers.size, watchers.size], [0, 0]);
});

test("it stops when its component has left the page", () => {
  let isConnected = true;
  const { courier, world, wait, timers } = build({ isConnected: () => isConnected });
  courier.post("a");
  isConnected = false;
  wait(60_000);
  assert.equal(world.sent.length, 1);
  assert.equal(timers.size, 0);
  assert.equal(courier.isIdle, false, "what was not answered is known as such");
});

test("onFree is called once per completed message", () => {
  const { courier, world } = build();
  courier.post("a");
  courier.post("b");
  assert.equal(world.freed, 0);
  courier.answer(1);
  courier.answer(2);
  assert.equal(world.freed, 2);
});
