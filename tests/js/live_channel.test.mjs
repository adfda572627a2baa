// The connection of live_updates.js, without a browser: with mocks of time, the WebSocket and the page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const source = readFileSync(
  new URL("../../rnnviz/ui/components/live_updates.js", import.meta.url),
  "utf8",
).replaceAll(/^import .*\n|^export /gm, ""); // a script, whose globals are mocked

const END = "\n";

/** The script with a mock clock; world.sockets are those that it has opened, world.notices its events. */
function build() {
  const world = { now: 0, away: false, sockets: [], notices: [], page: { isLive: true } };
  const timers = new Map();
  let next = 1;
  class WebSocket {
    static OPEN = 1;
    constructor() {
      this.readyState = 0;
      this.sent = [];
      this.on = {};
      world.sockets.push(this);
    }
    addEventListener(name, act) {
      this.on[name] = act;
    }
    send(text) {
      this.sent.push(text);
    }
    close() {
      this.readyState = 3;
    }
  }
  const context = vm.createContext({
    WebSocket,
    URL,
    CustomEvent: class {},
    performance: { now: () => world.now },
    setTimeout: (act, delay) => {
      timers.set(next, { act, at: world.now + delay });
      return next++;
    },
    clearTimeout: (id) => timers.delete(id),
    isAway: () => world.away,
    served: () => "http://server/",
    page: world.page,
    window: { dispatchEvent: () => world.notices.push(world.page.isLive) },
  });
  world.wait = (ms) => {
    const end = world.now + ms;
    for (;;) {
      const due = [...timers]
        .filter(([, { at }]) => at <= end)
        .sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      timers.delete(due[0]);
      world.now = due[1].at;
      due[1].act();
    }
    world.now = end;
  };
  const names = "openChannel, SILENT_MS, RETRY_MS, NOTICE_MS";
  return { ...world, ...vm.runInContext(`${source}; ({ ${names} })`, context), world };
}

/** A question on a connection that is open; its answers come into the list. */
function asked({ openChannel, sockets }) {
  const answers = [];
  openChannel().ask("question", (text) => answers.push(text));
  const socket = sockets.at(-1);
  socket.readyState = 1;
  return { answers, socket };
}

test("a connection that is refused ends its answers, says so, and is tried again later", () => {
  const { world, wait, openChannel, sockets, RETRY_MS, NOTICE_MS, ...rest } = build();
  const { answers, socket } = asked({ openChannel, sockets, ...rest });
  socket.on.close();
  assert.deepEqual(answers, [END]);
  assert.deepEqual(world.notices, []);
  wait(NOTICE_MS);
  assert.deepEqual(world.notices, [false]);
  assert.equal(openChannel(), undefined);
  wait(RETRY_MS);
  assert.notEqual(openChannel(), undefined);
  assert.equal(sockets.length, 2);
  sockets[1].readyState = 1;
  openChannel().ask("again", () => {});
  sockets[1].on.message({ data: END });
  assert.deepEqual(world.notices, [false, true]);
});

test("a server that is away is no failure of live updates", () => {
  const { world, wait, NOTICE_MS, ...rest } = build();
  const { socket } = asked(rest);
  world.away = true;
  socket.on.close();
  wait(NOTICE_MS);
  assert.deepEqual(world.notices, []);
});

test("a question without any message is given up, one that waits is not", () => {
  const { world, wait, SILENT_MS, NOTICE_MS, ...rest } = build();
  const { answers, socket } = asked(rest);
  for (let k = 0; k < 5; k++) {
    wait(SILENT_MS - 1);
    socket.on.message({ data: "" }); // the question waits
  }
  assert.deepEqual(answers, ["", "", "", "", ""]);
  wait(SILENT_MS);
  assert.equal(answers.at(-1), END);
  assert.equal(socket.readyState, 3);
  wait(NOTICE_MS);
  assert.deepEqual(world.notices, [false]);
});

test("nothing is given up once all answers have come", () => {
  const { world, wait, SILENT_MS, ...rest } = build();
  const { answers, socket } = asked(rest);
  socket.on.message({ data: "verdicts 1\n" });
  socket.on.message({ data: END });
  wait(10 * SILENT_MS);
  assert.deepEqual(answers, ["verdicts 1\n", END]);
  assert.deepEqual(world.notices, []);
});
