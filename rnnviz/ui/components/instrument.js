// The instrument on a Streamlit page: its parts in the places that Streamlit gives them, and its
// position kept equal to the server's. Its courier sends the position once it rests; the server may
// have another one meanwhile: what it changes wins.

import { Instrument } from "../../instrument/static/instrument.js";
import { page, setPending, settle } from "./address.js";
import { Courier } from "./courier.js";

/** @import { PartName } from "../../instrument/static/instrument.js" */
/** @import { Position } from "../../instrument/static/types.d.ts" */
/** @import { ComponentArguments } from "./types.d.ts" */
/**
 * @typedef {Position & { part: PartName, answered: number, first: Position }} PositionData from
 *   Python; first: what the address leaves out
 */

const FIELDS = /** @type {const} */ (["t", "unit", "gate", "speed"]);
const HOST = {
  page: ".stMain",
  keyed: "[data-testid=stDataFrame]",
  cards: "[class*=st-key-equation_]",
};

class InstrumentOnPage {
  constructor() {
    this.instrument = new Instrument({ ...HOST, onChange: () => this.onChange() });
    // as Streamlit names the settings' widgets
    this.instrument.player.barPlace.classList.add("st-key-t");
    this.instrument.player.speedPlace.classList.add("st-key-speed");
    /** @type {Partial<Position>} */
    this.agreed = {}; // with the server: what it was sent, or has sent
    /** @type {Partial<Position>} */
    this.shown = {}; // by the server's cards
    /** @type {Position | undefined} */
    this.first = undefined;
    this.mustSend = false; // whether what is pending was not sent before the page went
    /** @type {Uint8Array | undefined} the payload of the text */
    this.bytes = undefined;
    /** @type {Map<HTMLElement, PartName>} */
    this.places = new Map(); // that Streamlit gave, and the part that each is for
    /** @type {((message: object) => void) | undefined} */
    this.trigger = undefined;
    /** @type {Courier<Position>} */
    this.courier = new Courier({
      send: (position, number) => {
        this.agreed = { ...position };
        this.trigger?.({ ...position, number });
      },
      onFree: () => this.settle(),
    });
  }

  /**
   * @param {PartName} part
   * @param {HTMLElement} parent
   */
  attach(part, parent) {
    this.instrument.attach(part, parent);
    this.places.delete(parent); // the newest comes last
    this.places.set(parent, part);
    page.senders.add(this);
  }

  // Where a part moves on the page, Streamlit may fill its old place once more before it goes.
  moveParts() {
    for (const [place, part] of this.places) {
      const roots = this.instrument.roots(part);
      if (!place.isConnected) {
        this.places.delete(place);
        continue;
      }
      this.trigger = triggers.get(place) ?? this.trigger;
      if (roots.length && !roots[0].isConnected) {
        place.append(...roots);
        const bytes = part === "text" ? messages.get(place) : undefined;
        if (bytes && !alike(this.bytes, bytes)) this.take(bytes);
      }
    }
    if (!this.instrument.strip.root.isConnected) this.detach();
  }

  // The page was left: the instrument stays as it is, for when the reader comes back.
  detach() {
    this.instrument.detach();
    this.mustSend = !this.courier.isIdle; // once the server has run the page anew
    this.abandon();
    this.agreed = { ...this.shown };
    if (!this.mustSend) for (const field of FIELDS) settle(field);
    page.senders.delete(this);
    document.documentElement.removeAttribute("data-rnnviz-behind");
  }

  /** @param {Uint8Array} bytes */
  take(bytes) {
    this.bytes = bytes;
    this.instrument.record(bytes);
    this.instrument.figures.watch();
  }

  /**
   * Takes the server's position: what differs from the one agreed on was changed there; the rest is
   * the reader's.
   *
   * @param {PositionData} data
   */
  takePosition(data) {
    this.first = data.first;
    const isUnread = this.courier.inFlight && data.answered !== this.courier.number;
    const isBusy = isUnread || this.courier.due !== null || this.courier.waiting.size > 0;
    /** @type {Partial<Position>} */
    const changes = {};
    for (const field of FIELDS) {
      const isOld = isUnread && data[field] === this.shown[field];
      const isPending = page.pending.has(field);
      assign(this.shown, field, data[field]);
      if (this.mustSend && isPending) assign(this.agreed, field, data[field]);
      if (isOld || (isPending && (this.mustSend || isBusy))) continue;
      if (data[field] === this.agreed[field]) continue;
      assign(this.agreed, field, data[field]);
      assign(changes, field, data[field]);
    }
    this.mustSend = false;
    this.instrument.setPosition(changes);
    this.courier.answer(data.answered); // last, as it sends what waits, which is agreed on then
    this.settle();
    this.instrument.show();
  }

  onChange() {
    const { t, unit, playing } = this.instrument;
    // whether the server's cards show another step or unit
    const isBehind = this.shown.t !== t || this.shown.unit !== unit;
    document.documentElement.toggleAttribute("data-rnnviz-behind", isBehind);
    if (playing) this.courier.cancel();
    else this.keepPending();
  }

  // The address has the position at once, the server once it rests.
  keepPending() {
    if (!this.instrument.listening) return;
    for (const field of FIELDS) {
      const isChanged = this.instrument[field] !== this.agreed[field];
      if (isChanged || page.pending.has(field)) setPending(field, this.written(field));
    }
    if (this.isAgreed) this.courier.cancel();
    else this.courier.debounce(() => this.collect());
    this.settle();
  }

  get isAgreed() {
    return FIELDS.every((field) => this.instrument[field] === this.agreed[field]);
  }

  /** @param {typeof FIELDS[number]} field */
  written(field) {
    const value = this.instrument[field];
    return value === this.first?.[field] ? "" : String(value);
  }

  // Posts the position.
  collect() {
    if (!this.trigger || !this.instrument.listening) return;
    this.courier.cancel();
    if (this.isAgreed) return;
    for (const field of FIELDS)
      if (this.instrument[field] !== this.agreed[field]) setPending(field, this.written(field));
    const { t, unit, gate, speed } = this.instrument;
    this.courier.post({ t, unit, gate, speed });
  }

  get isIdle() {
    return this.courier.isIdle;
  }

  // Drops what was not answered: it has reached the server otherwise.
  abandon() {
    this.instrument.playing = false;
    this.courier.abandon();
  }

  // What the server has is not pending any more.
  settle() {
    if (!this.courier.isIdle) return;
    for (const field of FIELDS)
      if (page.pending.has(field) && this.instrument[field] === this.shown[field]) settle(field);
  }
}

/** @type {InstrumentOnPage | undefined} */
let onPage;
/** @type {WeakMap<HTMLElement, Uint8Array>} by place, what came there last */
const messages = new WeakMap();
/** @type {WeakMap<HTMLElement, (message: object) => void>} by place, what sends to the server */
const triggers = new WeakMap();

/** @param {ComponentArguments<Uint8Array | PositionData>} component */
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  onPage ??= new InstrumentOnPage();
  const shown = onPage;
  if (data instanceof Uint8Array) draw(shown, data, parentElement);
  else {
    shown.attach(data.part, parentElement);
    if (data.part === "drawing" || data.part === "step") {
      shown.trigger = (message) => setTriggerValue("position", message);
      triggers.set(parentElement, shown.trigger);
      shown.takePosition(data);
    }
  }
  // Streamlit also calls this for an update that a newer one overtook
  return () => setTimeout(() => shown.moveParts());
}

/**
 * Takes a payload where it differs from what the place had.
 *
 * @param {InstrumentOnPage} onPage
 * @param {Uint8Array} bytes
 * @param {HTMLElement} place
 */
function draw(onPage, bytes, place) {
  const { instrument } = onPage;
  const part = isOfCells(bytes) ? "cells" : "text";
  onPage.attach(part, place);
  const before = messages.get(place);
  messages.set(place, bytes);
  if (part === "cells") {
    if (!alike(before, bytes)) instrument.cells.take(bytes);
    instrument.changed({ ease: false });
    return;
  }
  if (!instrument.current || !alike(before ?? onPage.bytes, bytes)) instrument.record(bytes);
  else instrument.changed({ ease: false });
  onPage.bytes = bytes;
  instrument.figures.watch();
}

/**
 * @template {keyof Position} Field
 * @param {Partial<Position>} position
 * @param {Field} field
 * @param {Position[Field]} value
 */
function assign(position, field, value) {
  position[field] = value;
}

/**
 * Whether a payload brings several networks' cells, and not an input.
 *
 * @param {Uint8Array} bytes
 */
function isOfCells(bytes) {
  return new TextDecoder().decode(bytes.subarray(0, 24)).includes('"cells"');
}

/**
 * Whether two payloads are the same: the first line holds a digest of all that comes after it.
 *
 * @param {Uint8Array | undefined} a
 * @param {Uint8Array} b
 */
function alike(a, b) {
  if (a === b) return true;
  if (a?.length !== b.length) return false;
  for (let i = 0; i < b.length; i++) {
    if (a[i] !== b[i]) return false;
    if (b[i] === 10) return true;
  }
  return true;
}
