// Three numbered marks on the drawing of a cell, and what each is about, for who sees it for the first time.
// They are closed once, which the browser remembers; open() shows them again.

import { element } from "./elements.js";

/** @import { Recording } from "./recording.js" */
/** @import { Plan } from "./types.d.ts" */

const STORED = "rnnviz-marks";
const BESIDE_TILE = 30; // from the middle of the character's tile
const CORNER = 50; // from a gate's middle to its corner
const GATES = ["forget_gate", "update_gate", "hidden"];

export class Marks {
  constructor() {
    this.badges = element("div", "badges");
    this.badges.setAttribute("aria-hidden", "true");
    this.root = element("div", "marks");
    this.list = element("ol");
    this.button = element("button", "", { type: "button" });
    this.button.addEventListener("click", () => this.close());
    this.root.append(this.list, this.button);
    this.show(!isStored());
  }

  /**
   * @param {Recording} recording
   * @param {Plan} plan
   * @param {number} gateTop
   */
  draw(recording, plan, gateTop) {
    const { cell } = recording;
    const keys = ["marks.reads", `marks.${cell}_gate`, `marks.${cell}_state`];
    const gate = GATES.find((name) => name in plan.gates) ?? "";
    const [x, y] = plan.reads;
    const places = [[x - BESIDE_TILE, y], [plan.gates[gate] - CORNER, gateTop], plan.carries];
    const [left, top, width, height] = plan.view.split(" ").map(Number);
    this.badges.replaceChildren(
      ...places.map(([x, y], i) => {
        const badge = element("span", "badge", { textContent: String(i + 1) });
        badge.style.left = `${(100 * (x - left)) / width}%`;
        badge.style.top = `${(100 * (y - top)) / height}%`;
        return badge;
      }),
    );
    this.list.replaceChildren(
      ...keys.map((key) => element("li", "", { textContent: recording.say(key) })),
    );
    this.button.textContent = recording.say("marks.close");
  }

  open() {
    store("");
    this.show(true);
  }

  close() {
    store("closed");
    this.show(false);
  }

  /** @param {boolean} isShown */
  show(isShown) {
    this.root.hidden = this.badges.hidden = !isShown;
  }
}

// A browser may refuse a page any storage; then the marks are there at every visit.

function isStored() {
  try {
    return localStorage.getItem(STORED) === "closed";
  } catch {
    return false;
  }
}

/** @param {string} value */
function store(value) {
  try {
    localStorage.setItem(STORED, value);
  } catch {
    // shown again at the next visit
  }
}
