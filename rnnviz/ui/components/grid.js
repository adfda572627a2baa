// A table of numbers. Each can be dragged sideways, typed over in an input in its cell, nudged by keys and
// reset. A change is shown at once and sent by the courier. During a drag, the parts in sight are updated
// live (see live_updates.js); the page runs at the release. Cells are created once per shape.

import { element } from "../../instrument/static/elements.js";
import { CellTable, set } from "./cell_table.js";
import { Courier } from "./courier.js";
import { LiveUpdates, SETTLED_MS } from "./live_updates.js";
import {
  between,
  brief,
  contrast,
  pythonText,
  read,
  rgb,
  rounded,
  step,
  written,
} from "./numbers.js";
import { page, setPending, setting, settle } from "./pending.js";
import { applyStyles } from "./styles.js";

const instances = new WeakMap();
/** @type {Map<string, Change>} by place, of a grid that went while the server was away */
let unsent = new Map();
const CLICK_WITHIN_PX = 4; // within which a press is a click

/** @import { Reader } from "./live_updates.js" */

/**
 * @typedef {object} GridData from Python
 * @property {string} label
 * @property {number[][]} values
 * @property {string} of the matrix
 * @property {string} template of a number in the address; "" if it has none
 * @property {string[]} changed "row column" of each number that is marked
 * @property {number} answered
 * @property {Reader | null} live of a page with live updates
 * @property {[number, string][]} scale
 * @property {string} ink
 * @property {string} selected
 * @property {string} hint
 * @property {string} marked
 * @property {string} refused
 * @property {string} emptied
 *
 * @typedef {{of: string, row: number, column: number, value: number | null}} Change null: as at first
 * @typedef {{index: number, pointer: number, x: number, exact: number, step: number,
 *   first: number | null, value?: number}} Drag exact: without rounding; value: once it has moved
 */

/** @param {import("./types.d.ts").ComponentArguments<any>} component */
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  applyStyles(parentElement);
  /** @type {Grid} */
  const grid = instances.get(parentElement) ?? new Grid(parentElement);
  instances.set(parentElement, grid);
  grid.trigger = (message) => setTriggerValue("changed", message);
  grid.update(JSON.parse(new TextDecoder().decode(data)));
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => grid.root.isConnected || grid.stop());
}

class Grid {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.root = element("div", "grid");
    const frame = element("div", "frame");
    this.table = new CellTable();
    this.alert = element("p", "alert");
    this.hint = element("p", "hint");
    this.status = element("output", "status");
    this.field = element("input");
    set(this.alert, { id: "alert", role: "alert" });
    set(this.hint, { id: "hint" });
    // not inputmode=decimal, because an iPhone's decimal keypad has no minus
    set(this.field, {
      enterkeyhint: "done",
      autocomplete: "off",
      maxlength: 40,
      spellcheck: false,
    });
    frame.append(this.table.root);
    this.root.append(frame, this.alert, this.hint, this.status);
    parent.appendChild(this.root);
    /** @type {[number, number[]][]} */
    this.stops = [];
    /** @type {(message: object) => void} */
    this.trigger = () => {};
    /** @type {Drag | null} */
    this.drag = null;
    this.hasMoved = false; // whether the last press was a drag
    /** @type {{index: number, before: string | undefined} | null} the cell with the input, and its text */
    this.typing = null;
    /** @type {{key: "refused" | "emptied", index: number, row: number, column: number, came: string,
     *   kept: string} | null} */
    this.refusal = null;
    /** @type {Courier<Change>} */
    this.courier = new Courier({
      send: (change, number) => this.trigger({ ...change, number }),
      holdsForRun: () => true,
      isConnected: () => this.root.isConnected,
      onFree: () => this.onFree(),
    });
    this.updates = new LiveUpdates(() => undefined); // the page runs in any case
    page.senders.add(this);
    this.listen();
  }

  listen() {
    this.table.root.addEventListener("pointerdown", (event) => this.onPointerDown(event));
    this.table.root.addEventListener("pointermove", (event) => this.onPointerMove(event));
    this.table.root.addEventListener("lostpointercapture", () => this.onRelease());
    this.table.root.addEventListener("click", (event) => this.onClick(event));
    this.table.root.addEventListener("keydown", (event) => this.onKeyDown(event));
    this.field.addEventListener("keydown", (event) => this.onFieldKeyDown(event));
    this.field.addEventListener("blur", () => this.collect());
  }

  /** @param {GridData} data */
  update(data) {
    const before = this.data;
    this.data = data;
    this.stops = data.scale.map(([at, colour]) => [at, rgb(colour)]);
    const [rows, columns] = [data.values.length, data.values[0].length];
    const reshaped = rows !== this.table.rows || columns !== this.table.columns;
    if (before && (reshaped || before.of !== data.of)) {
      this.refusal = this.drag = null;
      this.settle();
      this.close();
    }
    if (reshaped) {
      this.table.make(rows, columns);
      this.root.style.setProperty("--columns", String(columns));
    }
    this.table.root.setAttribute("aria-label", data.label);
    this.root.style.setProperty("--selected", data.selected);
    this.hint.textContent = data.hint;
    this.courier.answer(data.answered);
    for (const [place, change] of unsent) this.courier.post(change, place);
    unsent = new Map();
    this.show();
  }

  show() {
    if (!this.data) return;
    const { ink, changed, ...texts } = this.data;
    const numbers = this.table.cells.map((_, index) => this.value(index));
    const most = Math.max(...numbers.map(Math.abs)) || 1;
    this.table.cells.forEach((cell, index) => {
      const marked = this.isMarked(index);
      const text = brief(numbers[index]);
      const ground = between(this.stops, (numbers[index] / most + 1) / 2);
      cell.tabIndex = index === this.table.at ? 0 : -1;
      cell.style.background = `rgb(${ground})`;
      const inks = [ink, "#ffffff", "#000000"];
      cell.style.color = inks.find((ink) => contrast(rgb(ink), ground) >= 4.5) ?? ink;
      cell.classList.toggle("marked", marked);
      cell.classList.toggle("held", this.drag?.value !== undefined && this.drag.index === index);
      const span = /** @type {HTMLElement} */ (cell.firstChild);
      if (span.textContent !== text) span.textContent = text;
      const label = marked ? fill(texts.marked, { value: text }) : text;
      if (cell.getAttribute("aria-label") !== label) cell.setAttribute("aria-label", label);
    });
    const message = this.refusal ? fill(texts[this.refusal.key], this.refusal) : "";
    if (this.alert.textContent !== message) this.alert.textContent = message;
    set(this.field, { "aria-invalid": this.typing?.index === this.refusal?.index && !!message });
  }

  /**
   * The user's change of a cell that the server has not shown yet: a number, null for a reset, undefined
   * for no change.
   * @param {number} index
   */
  own(index) {
    const place = `${this.data?.of} ${index}`;
    const { inFlight, waiting } = this.courier;
    if (this.drag?.index === index && this.drag.value !== undefined) return this.drag.value;
    if (waiting.has(place)) return waiting.get(place)?.value;
    if (inFlight?.place === place && !inFlight.answered) return inFlight.message.value;
    return undefined;
  }

  /** @param {number} index */
  value(index) {
    const { values } = /** @type {GridData} */ (this.data);
    return this.own(index) ?? values[this.table.row(index)][this.table.column(index)];
  }

  /** @param {number} index */
  isMarked(index) {
    const own = this.own(index);
    if (own !== undefined) return own !== null;
    return Boolean(
      this.data?.changed.includes(`${this.table.row(index)} ${this.table.column(index)}`),
    );
  }

  /**
   * @param {number} index
   * @param {number | null} value null for a reset
   */
  change(index, value) {
    const { of, live } = /** @type {GridData} */ (this.data);
    this.refusal = null;
    clearTimeout(this.settling);
    const change = { of, row: this.table.row(index), column: this.table.column(index), value };
    const isDragged = live && this.drag?.value !== undefined;
    const edit = this.edits(change);
    if (isDragged) this.updates.change("edit", edit, live);
    else {
      if (live) setPending("edit", edit);
      this.courier.post(change, `${of} ${index}`);
    }
    this.show();
  }

  /**
   * The edits of the address with this one, as text.
   * @param {Change} change
   */
  edits({ row, column, value }) {
    const { template } = /** @type {GridData} */ (this.data);
    const place = fill(template, { row, column, value: "" });
    const others = setting("edit")
      .split(",")
      .filter((edit) => edit && !edit.startsWith(place));
    return [...others, ...(value === null ? [] : [`${place}${pythonText(value)}`])].join();
  }

  /** @param {PointerEvent} event */
  onPointerDown(event) {
    const index = this.table.indexOf(event.target);
    this.hasMoved = false;
    if (event.button || index === undefined || event.target === this.field || this.drag) return;
    const first = this.isMarked(index) ? this.value(index) : null;
    const exact = this.value(index);
    this.drag = {
      index,
      pointer: event.pointerId,
      x: event.clientX,
      first,
      exact,
      step: step(exact),
    };
    this.table.cells[index].setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  onPointerMove(event) {
    const { drag } = this;
    if (drag?.pointer !== event.pointerId) return;
    const way = event.clientX - drag.x;
    if (!this.hasMoved) {
      if (Math.abs(way) < CLICK_WITHIN_PX) return;
      this.hasMoved = true;
    }
    const size = event.shiftKey ? drag.step / 10 : drag.step;
    const value = rounded(drag.exact + way * size, size);
    if (!Number.isFinite(value)) return;
    drag.exact += way * size;
    drag.x = event.clientX;
    if (value === this.value(drag.index)) return;
    drag.value = value;
    this.change(drag.index, value);
  }

  onRelease() {
    const { drag } = this;
    this.drag = null;
    if (drag?.value === undefined) this.show();
    else this.change(drag.index, drag.value);
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    const index = this.table.indexOf(event.target);
    if (index !== undefined && event.target !== this.field && !this.hasMoved) this.open(index);
  }

  /** @param {KeyboardEvent} event */
  onKeyDown(event) {
    if (event.isComposing || event.target === this.field || event.metaKey) return;
    const index = this.table.indexOf(event.target);
    if (index === undefined || !this.act(index, event)) return;
    event.preventDefault();
    event.stopPropagation(); // the page has its own shortcuts
  }

  /**
   * Handles a key on a cell; returns whether the key has a function.
   * @param {number} index
   * @param {KeyboardEvent} event
   */
  act(index, { key, altKey, ctrlKey, shiftKey }) {
    const first = index - this.table.column(index); // of its row
    const [more, less] = altKey ? ["ArrowUp", "ArrowDown"] : ["PageUp", "PageDown"];
    const nudge = { [more]: 1, [less]: -1 }[key];
    if (nudge) this.nudge(index, nudge, shiftKey);
    else if (altKey) return false;
    else if (key === "Home") this.focus(ctrlKey ? 0 : first);
    else if (key === "End")
      this.focus((ctrlKey ? this.table.cells.length : first + this.table.columns) - 1);
    else if (ctrlKey) return false;
    else if (key === "ArrowLeft") this.table.column(index) && this.focus(index - 1);
    else if (key === "ArrowRight") (index + 1) % this.table.columns && this.focus(index + 1);
    else if (key === "ArrowUp") this.focus(index - this.table.columns);
    else if (key === "ArrowDown") this.focus(index + this.table.columns);
    else if (key === "Enter" || key === "F2") this.open(index);
    else if (key === "Delete" || key === "Backspace") this.putBack(index);
    else if (key === "Escape" && this.drag) this.cancelDrag();
    else if (/^[-−+.\d]$/.test(key)) this.open(index, key);
    else return false;
    return true;
  }

  /**
   * @param {number} index
   * @param {number} way 1 or −1
   * @param {boolean} isFine
   */
  nudge(index, way, isFine) {
    const now = this.value(index);
    const size = step(now) * (isFine ? 1 : 10);
    const value = rounded(now + way * size, size / 100);
    if (!Number.isFinite(value)) return;
    this.change(index, value);
    this.status.textContent = brief(value);
  }

  /** @param {number} index */
  putBack(index) {
    if (this.isMarked(index)) this.change(index, null);
  }

  cancelDrag() {
    const { drag } = this;
    this.drag = null;
    if (drag?.value !== undefined) this.change(drag.index, drag.first);
  }

  /**
   * @param {number} index
   * @param {string} [text] typed already
   */
  open(index, text) {
    this.close();
    this.refusal = null;
    const before = text ?? written(this.value(index));
    this.typing = { index, before: text === undefined ? before : undefined };
    this.field.value = before;
    const name = `${this.data?.label}: ${this.table.row(index)}, ${this.table.column(index)}`;
    set(this.field, { "aria-label": name });
    this.field.classList.toggle("right", this.table.column(index) >= this.table.columns / 2);
    this.table.cells[index].append(this.field);
    this.field.focus();
    if (text === undefined) this.field.select();
    this.show();
  }

  close() {
    if (!this.typing) return;
    this.typing = null; // before the input is removed, which blurs it
    this.field.remove();
  }

  /** @param {KeyboardEvent} event */
  onFieldKeyDown(event) {
    event.stopPropagation();
    if (event.isComposing || !this.typing) return;
    const { index } = this.typing;
    if (event.key === "Escape") {
      this.refusal = null;
      this.focus(index);
      this.show();
    } else if (event.key === "Enter" || event.key === "Tab") {
      const next = event.key === "Enter" ? index : index + (event.shiftKey ? -1 : 1);
      event.preventDefault();
      if (this.take()) this.focus(this.table.cells[next] ? next : index);
      else this.field.select();
    }
  }

  /** Applies the typed number, or shows why the text is not a number; returns whether it is one. */
  take() {
    if (!this.typing) return false;
    const { index, before } = this.typing;
    const came = this.field.value.trim();
    const value = came === before ? this.value(index) : read(came);
    const kept = written(this.value(index));
    if (value === null) {
      const key = came ? "refused" : "emptied";
      this.refusal = {
        key,
        index,
        row: this.table.row(index),
        column: this.table.column(index),
        came,
        kept,
      };
      this.show();
    } else if (value !== this.value(index)) this.change(index, value);
    return value !== null;
  }

  /** @param {number} index */
  focus(index) {
    if (!this.table.cells[index]) return;
    this.close();
    this.table.cells[index].focus();
  }

  /** Commits the typed or dragged number. */
  collect() {
    if (this.typing) {
      this.take();
      this.close();
    }
    if (this.drag) this.onRelease();
  }

  get isIdle() {
    return this.courier.isIdle;
  }

  /** Drops all changes, which were sent to the server in another way. */
  abandon() {
    clearTimeout(this.settling);
    this.updates.detach();
    this.courier.abandon();
  }

  onFree() {
    if (this.data?.live && this.isIdle && this.drag?.value === undefined) {
      this.settling = setTimeout(() => this.settle(), SETTLED_MS);
    }
    this.show();
  }

  settle() {
    page.unrun.delete("edit");
    settle("edit");
  }

  stop() {
    page.senders.delete(this);
    this.updates.stop();
    const { isIdle, inFlight, waiting } = this.courier;
    if (isIdle) this.settle();
    else {
      unsent = new Map(waiting);
      if (inFlight && !inFlight.answered && !unsent.has(inFlight.place))
        unsent.set(inFlight.place, inFlight.message);
    }
    this.courier.stop();
  }
}

/**
 * @param {string} text
 * @param {Record<string, unknown>} values
 */
function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
