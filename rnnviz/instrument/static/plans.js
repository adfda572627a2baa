// The plan of each kind of cell's drawing: wires with a value, gates filled to their value, signs and
// numbers. `v(name)` is a recorded value at this step, `v(name, 1)` at the step before; "cell_output" is
// the activation of the cell state. The mean over units is the mean of `flow` over units. A sign without
// text shows the activation of its fourth entry.

/** @import { Plan } from "./types.d.ts" */

// y coordinates: the line of the state, the operations, the line of h and x; GATE: the top of the gates.
const [TOP, NODE, BUS] = [80, 150, 318];
export const GATE = 204;

/** @type {Record<string, Plan>} */
export const PLANS = {
  lstm: {
    view: "0 40 640 336",
    wires: [
      { d: `M24 ${TOP}H134`, of: "cell_state", flow: (v) => v("cell_state", 1), belt: true },
      {
        d: `M134 ${TOP}H318`,
        of: "cell_state",
        flow: (v) => v("forget_gate") * v("cell_state", 1),
        belt: true,
      },
      { d: `M318 ${TOP}H616`, of: "cell_state", flow: (v) => v("cell_state"), belt: true },
      { d: `M134 ${GATE}V${TOP + 14}`, of: "forget_gate", flow: (v) => v("forget_gate") },
      { d: `M260 ${GATE}V${NODE}H304`, of: "input_gate", flow: (v) => v("input_gate") },
      { d: `M376 ${GATE}V${NODE}H332`, of: "cell_candidate", flow: (v) => v("cell_candidate") },
      {
        d: `M318 ${NODE - 14}V${TOP + 14}`,
        of: "cell_candidate",
        flow: (v) => v("input_gate") * v("cell_candidate"),
      },
      { d: `M492 ${GATE}V${NODE}H542`, of: "output_gate", flow: (v) => v("output_gate") },
      {
        d: `M556 ${TOP}V${NODE - 14}`,
        of: "hidden_state",
        flow: (v) => v("cell_output"),
      },
      { d: `M570 ${NODE}H590V${BUS}H616`, of: "hidden_state", flow: (v) => v("hidden_state") },
    ],
    feeds: [
      `M66 340V${BUS}`,
      `M24 ${BUS}H492V${GATE + 64}`,
      ...[134, 260, 376].map((x) => `M${x} ${BUS}V${GATE + 64}`),
    ],
    signs: [
      ["×", 134, TOP],
      ["+", 318, TOP],
      ["×", 318, NODE],
      ["", 556, 112, "cell_output"],
      ["×", 556, NODE],
    ],
    gates: { forget_gate: 134, input_gate: 260, cell_candidate: 376, output_gate: 492 },
    numbers: [
      { symbol: "c", of: "cell_state", back: 1, x: 24, y: 58 },
      { symbol: "c", of: "cell_state", x: 616, y: 58, end: true },
      { symbol: "h", of: "hidden_state", back: 1, x: 24, y: 303 },
      { symbol: "h", of: "hidden_state", x: 616, y: 344, end: true },
    ],
    reads: [66, 356],
    carries: [226, TOP],
  },
  gru: {
    view: "0 40 640 336",
    wires: [
      { d: `M24 ${TOP}H150`, of: "hidden_state", flow: (v) => v("hidden_state", 1), belt: true },
      {
        d: `M150 ${TOP}H484`,
        of: "hidden_state",
        flow: (v) => v("update_gate") * v("hidden_state", 1),
        belt: true,
      },
      { d: `M484 ${TOP}H616`, of: "hidden_state", flow: (v) => v("hidden_state"), belt: true },
      { d: `M150 ${GATE}V${TOP + 14}`, of: "update_gate", flow: (v) => v("update_gate") },
      { d: `M150 ${NODE}H286`, of: "update_gate", flow: (v) => v("update_gate") },
      { d: `M334 ${NODE}H470`, of: "update_gate", flow: (v) => 1 - v("update_gate") },
      {
        d: `M484 ${GATE}V${NODE + 14}`,
        of: "hidden_candidate",
        flow: (v) => v("hidden_candidate"),
      },
      {
        d: `M484 ${NODE - 14}V${TOP + 14}`,
        of: "hidden_candidate",
        flow: (v) => (1 - v("update_gate")) * v("hidden_candidate"),
      },
      { d: `M362 236H382`, of: "reset_gate", flow: (v) => v("reset_gate") },
    ],
    feeds: [
      `M66 340V${BUS}`,
      `M36 ${TOP + 5}V${BUS}H484V${GATE + 64}`,
      ...[150, 310].map((x) => `M${x} ${BUS}V${GATE + 64}`),
      `M396 ${BUS}V250`,
      "M410 236H432", // r times the product, which is not recorded
    ],
    signs: [
      ["×", 150, TOP],
      ["+", 484, TOP],
      ["1 − z", 310, NODE],
      ["×", 484, NODE],
      ["×", 396, 236],
      ["U h", 396, 282], // torch's reset comes after the product with U, not before
    ],
    gates: { update_gate: 150, reset_gate: 310, hidden_candidate: 484 },
    numbers: [
      { symbol: "h", of: "hidden_state", back: 1, x: 24, y: 58 },
      { symbol: "h", of: "hidden_state", x: 616, y: 58, end: true },
    ],
    reads: [66, 356],
    carries: [300, TOP],
  },
  rnn: {
    view: "0 56 640 288",
    wires: [
      { d: "M24 190H166", of: "hidden_state", flow: (v) => v("hidden_state", 1), belt: true },
      { d: "M194 190H288", of: "hidden_preactivation", flow: (v) => v("hidden_preactivation") },
      { d: "M336 190H398", of: "hidden_state", flow: (v) => v("hidden_state"), belt: true },
      { d: "M502 190H616", of: "hidden_state", flow: (v) => v("hidden_state"), belt: true },
    ],
    feeds: ["M180 300V204"],
    loop: "M560 184V92H80V182",
    signs: [
      ["+", 180, 190],
      ["", 312, 190, "hidden"],
    ],
    gates: { hidden: 450 },
    gateTop: 158,
    numbers: [
      { symbol: "h", of: "hidden_state", back: 1, x: 24, y: 230 },
      { symbol: "a", of: "hidden_preactivation", x: 241, y: 166, middle: true },
      { symbol: "h", of: "hidden_state", x: 616, y: 230, end: true },
    ],
    reads: [180, 318],
    carries: [560, 190],
  },
};

// Variants, where they differ from torch's cells.
PLANS.lstm_peephole = {
  ...PLANS.lstm,
  // i and f see the cell state before this step, o the one after it
  peepholes: [
    `M52 ${TOP + 4}V183H108V${GATE}`,
    `M108 183H234V${GATE}`,
    `M424 ${TOP + 4}V183H466V${GATE}`,
  ],
};
PLANS.lstm_coupled = {
  ...PLANS.lstm,
  wires: [
    ...PLANS.lstm.wires.filter(({ of }) => of !== "input_gate"),
    { d: `M134 ${NODE}H236`, of: "forget_gate", flow: (v) => v("forget_gate") },
    { d: `M284 ${NODE}H304`, of: "input_gate", flow: (v) => v("input_gate") },
  ],
  feeds: PLANS.lstm.feeds.filter((d) => !d.startsWith("M260")),
  signs: [...PLANS.lstm.signs, ["1 − f", 260, NODE]],
  gates: { forget_gate: 134, cell_candidate: 376, output_gate: 492 },
};
PLANS.lstm_peephole_coupled = {
  ...PLANS.lstm_coupled,
  peepholes: [`M52 ${TOP + 4}V183H108V${GATE}`, `M424 ${TOP + 4}V183H466V${GATE}`],
};
PLANS.gru_reset_before = {
  ...PLANS.gru,
  wires: [
    ...PLANS.gru.wires.filter(({ of }) => of !== "reset_gate"),
    { d: "M362 254H372V282H382", of: "reset_gate", flow: (v) => v("reset_gate") },
  ],
  feeds: [...PLANS.gru.feeds.slice(0, -2), `M396 ${BUS}V296`, "M396 268V250", "M410 236H432"],
  signs: [...PLANS.gru.signs.slice(0, 4), ["×", 396, 282], ["U", 396, 236]],
};
