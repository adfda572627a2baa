// The instrument on a Streamlit page: attaches its parts to the elements that Streamlit provides, and
// synchronises its position with the server. The courier sends the position after a debounce. If the
// server changes the position too, the server's change wins.

import { Instrument } from "../../instrument/static/instrument.js";
import { Courier } from "./courier.js";
import { page, setPending, settle } from "./pending.js";
import { applyStyles } from "./styles.js";

/** @import { PartName } from "../../instrument/static/instrument.js" */
/** @import { Position } from "../../instrument/static/types.d.ts" */
/** @import { ComponentArguments } from "./types.d.ts" */
/**
 * @typedef {Position & { part: PartName, answered: number, first: Position, plays?: number }} PositionData from
 *   Python; first: the defaults, which the address leaves out. plays: a larger number than before
 *   starts the player
 */

const FIELDS = /** @type {const} */ (["t", "unit", "gate", "speed"]);
const HOST = {
  page: ".stMain",
  keyed: "[data-testid=stDataFrame]",
};

class InstrumentOnPage {
  constructor() {
    this.instrument = new Instrument({
      ...HOST,
      onChange: () => this.onChange(),
      onWrite: () => this.write(),
    });
    /** @type {number | undefined} */
    this.plays = undefined; // the server's number of texts written to be played
    // as Streamlit names the settings' widgets
    // the link to a page's first view, which has the marks
    document.addEventListener("click", ({ target }) => {
      if (target instanceof Element && target.closest(".st-key-reset a"))
        this.instrument.drawing.marks?.open();
    });
    this.instrument.player.barPlace.classList.add("st-key-t");
    this.instrument.player.speedPlace.classList.add("st-key-speed");
    /** @type {Partial<Position>} */
    this.agreed = {}; // the last position sent to or received from the server
    /** @type {Partial<Position>} */
    this.shown = {}; // the position that the server has
    /** @type {Position | undefined} */
    this.first = undefined;
    this.mustSend = false; // whether the page was left before the pending position was sent
    this.isRecording = false; // whether the instrument takes another text
    /** @type {Uint8Array | undefined} the payload of the text */
    this.bytes = undefined;
    /** @type {Map<HTMLElement, PartName>} */
    this.places = new Map(); // Streamlit's elements, and the part for each
    /** @type {((message: object) => void) | undefined} */
    this.trigger = undefined;
    /** @type {Courier<Position & { write?: string }>} */
    this.courier = new Courier({
      send: (position, number) => {
        const { t, unit, gate, speed } = position;
        this.agreed = { t, unit, gate, speed };
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

  // When a part moves on the page, Streamlit may update its old element once more before removing it.
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

  // The page was left; the instrument keeps its state for a return.
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
    this.record(bytes);
    this.instrument.figures.watch();
  }

  /**
   * Shows another text. A step beyond its end becomes its last, which is no change by the user: the
   * server does the same, or has chosen another step.
   *
   * @param {Uint8Array} bytes
   */
  record(bytes) {
    const { instrument } = this;
    const kept = FIELDS.filter((field) => instrument[field] === this.agreed[field]);
    this.isRecording = true;
    instrument.record(bytes);
    this.isRecording = false;
    for (const field of kept) assign(this.agreed, field, instrument[field]);
    if (instrument.drawnAs) this.onChange();
  }

  /**
   * Takes over the fields in which the server's position differs from the agreed one, which the server
   * has changed; the other fields stay.
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
    this.courier.answer(data.answered); // last, because it may send a message and so change `agreed`
    this.settle();
    this.instrument.show();
    const { plays = 0 } = data;
    if (plays > (this.plays ?? plays) && !this.instrument.playing) this.instrument.toggle();
    this.plays = plays;
  }

  onChange() {
    const { t, unit, gate, playing } = this.instrument;
    // whether what the server draws, the table of all terms, is of another position
    const isBehind = this.shown.t !== t || this.shown.unit !== unit || this.shown.gate !== gate;
    document.documentElement.toggleAttribute("data-rnnviz-behind", isBehind);
    if (this.isRecording) return;
    if (playing) this.courier.cancel();
    else this.keepPending();
  }

  // Writes the position to the address at once, and debounces the message to the server.
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

  // Posts the position, from which the network is to write on.
  write() {
    if (!this.trigger || !this.instrument.listening) return;
    const { t, unit, gate, speed, recording } = this.instrument;
    this.courier.post({ t, unit, gate, speed, write: recording.reading }, "write");
  }

  get isIdle() {
    return this.courier.isIdle;
  }

  // Drops unanswered messages, which were sent to the server in another way.
  abandon() {
    this.instrument.playing = false;
    this.courier.abandon();
  }

  // Clears the pending fields that the server has.
  settle() {
    if (!this.courier.isIdle) return;
    for (const field of FIELDS)
      if (page.pending.has(field) && this.instrument[field] === this.shown[field]) settle(field);
  }
}

/** @type {InstrumentOnPage | undefined} */
let onPage;
/** @type {WeakMap<HTMLElement, Uint8Array>} by element, its last payload */
const messages = new WeakMap();
/** @type {WeakMap<HTMLElement, (message: object) => void>} by element, its trigger function */
const triggers = new WeakMap();

/** @param {ComponentArguments<Uint8Array | PositionData>} component */
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  applyStyles(parentElement);
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

/** @type {Record<string, PartName>} the part that shows a kind of payload */
const PLACES = { cells: "cells", text: "text", unit: "equations" };

/**
 * Takes a payload if it differs from the element's last one.
 *
 * @param {InstrumentOnPage} onPage
 * @param {Uint8Array} bytes
 * @param {HTMLElement} place
 */
function draw(onPage, bytes, place) {
  const { instrument } = onPage;
  const kind = kindOf(bytes);
  onPage.attach(PLACES[kind], place);
  const before = messages.get(place);
  messages.set(place, bytes);
  if (kind === "text") return drawText(onPage, before, bytes);
  if (!alike(before, bytes)) {
    if (kind === "unit") instrument.explain(bytes);
    else instrument.cells.take(bytes);
  }
  instrument.changed({ ease: false });
}

/**
 * @param {InstrumentOnPage} onPage
 * @param {Uint8Array | undefined} before
 * @param {Uint8Array} bytes
 */
function drawText(onPage, before, bytes) {
  const { instrument } = onPage;
  if (!instrument.current || !alike(before ?? onPage.bytes, bytes)) onPage.record(bytes);
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
 * The kind of a payload, which its first line begins with.
 *
 * @param {Uint8Array} bytes
 */
function kindOf(bytes) {
  const start = new TextDecoder().decode(bytes.subarray(0, 32));
  return /"part": "(\w+)"/.exec(start)?.[1] ?? "text";
}

/**
 * Whether two payloads are equal, by their first lines, which contain a digest of the rest.
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
