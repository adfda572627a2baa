// A range input over the numbers of its notches. One message is under way at most: the next goes
// when Python has answered this one, so that it works while the page draws. Under the hand, the last
// value goes when the hand leaves at the latest.
//
// A slider that others follow has them follow by themselves (see follow.js), and sends its value when
// the hand has rested for a moment; with it, whether they have: then the page need not be run. Where
// nothing else of the page is to follow, it writes the address by itself, and its value can wait until
// the hand has been still for longer: many visitors who keep moving cost half of it then.

const instances = new WeakMap();
const unsent = new Map(); // by key, where a slider was put while the server was away
const LOST = 3000; // milliseconds without a run of the script: what was sent has not arrived
const STILL = 1500; // milliseconds more until Python hears of what has been followed
const PATIENCE = 1000; // milliseconds that a link waits for Python to hear of it at most
const LONG = 2000; // milliseconds that a run may take before the next value breaks it off

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let slider = instances.get(parentElement);
  if (!slider) {
    slider = new Slider(parentElement);
    instances.set(parentElement, slider);
  }
  slider.send = (message) => setTriggerValue("moved", message);
  slider.update(data);
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => slider.root.isConnected || slider.stop());
}

class Slider {
  constructor(parent) {
    this.root = element("div", "slider");
    this.label = element("label");
    this.label.htmlFor = "input";
    this.output = element("output");
    this.output.htmlFor = "input";
    this.input = element("input");
    Object.assign(this.input, { type: "range", id: "input", min: 0 });
    this.help = element("button", "help");
    Object.assign(this.help, { type: "button", textContent: "?" });
    this.tip = element("div", "tip");
    Object.assign(this.tip, { id: "tip", popover: "manual", role: "tooltip" });
    const head = element("div", "head");
    head.append(this.label, this.help, this.output);
    this.root.append(head, this.input, this.tip);
    parent.appendChild(this.root);
    this.flying = null; // {answered, since} of the one under way
    this.wanted = null; // the notch to send next
    this.again = false; // whether what is under way was lost before
    this.owes = false; // whether the page is still to hear of the last value
    this.follower = new Follower(() => this.owe());
    this.hands = new Set(); // what holds the thumb: a pointer, keys
    this.listen();
  }

  listen() {
    this.input.addEventListener("input", () => this.moved(Math.round(this.input.valueAsNumber)));
    this.input.addEventListener("keydown", (event) => this.keyed(event));
    this.input.addEventListener("keyup", (event) => this.released(event.key));
    this.input.addEventListener("blur", () => this.released());
    this.input.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.hands.add("pointer");
      const gone = (event) => {
        if (event.type === "blur" && event.target !== window) return; // another element's
        for (const name of ENDS) window.removeEventListener(name, gone, true);
        this.released("pointer");
      };
      for (const name of ENDS) window.addEventListener(name, gone, true);
    });
    this.help.addEventListener("pointerenter", () => this.explain(true));
    this.help.addEventListener("pointerleave", () => this.explain(false));
    this.help.addEventListener("focus", () => this.explain(true));
    this.help.addEventListener("blur", () => this.explain(false));
    this.help.addEventListener("keydown", (event) => event.key === "Escape" && this.explain(false));
    this.watcher = new MutationObserver(() => this.landed());
    document.addEventListener("click", this.left, true);
  }

  // A link leads away, and to a page that may need this value: it is let go once Python has it, for
  // what Streamlit gets with the wish for another page it does not know to be this slider's.
  left = (event) => {
    const link = event.composedPath().find((part) => part.matches?.("a[href]"));
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
    if (!link || elsewhere || !this.owes || !this.follower.complete) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    clearTimeout(this.resting);
    this.hurry();
    const since = performance.now();
    const go = () => {
      const waits = this.flying && !this.flying.answered && performance.now() - since < PATIENCE;
      if (waits) setTimeout(go, 20);
      else link.click();
    };
    setTimeout(go, 20);
  };

  update(bytes) {
    const data = JSON.parse(new TextDecoder().decode(bytes));
    if (this.data?.texts !== data.texts) this.texts = data.texts.split("\n");
    if (this.data?.values !== data.values) this.values = data.values?.split("\n");
    const ran = data.run !== this.data?.run; // a run of the page, not of this
    if (ran) this.ranWith = data.answered;
    this.data = data;
    if (this.number === undefined && unsent.has(data.key)) this.wanted = this.at = unsent.get(data.key);
    this.number ??= data.answered; // of the last message sent
    this.label.textContent = data.label;
    this.help.hidden = !data.help;
    this.help.setAttribute("aria-label", data.label);
    this.tip.textContent = data.help;
    for (const described of [this.input, this.help])
      if (data.help) described.setAttribute("aria-describedby", "tip");
      else described.removeAttribute("aria-describedby");
    this.input.max = this.texts.length - 1;
    if (this.at > this.input.max) this.at = Number(this.input.max);
    if (this.flying && data.answered === this.number) {
      unsent.delete(data.key);
      this.again = false;
      this.flying.answered = true;
      this.landed();
    }
    this.catchUp();
    if (ran && page.behind.has(data.key)) this.follower.again(data.live);
    if (this.wanted !== null) this.show();
    this.flush();
    this.follow();
  }

  // Whether the page has been run with the last value.
  catchUp() {
    if (this.ranWith === this.number && !this.owes && this.wanted === null) page.behind.delete(this.data.key);
  }

  // Python's value, unless the visitor's own is on its way.
  follow() {
    if (this.hands.size && this.at !== undefined) return;
    if (this.flying || this.owes || this.wanted !== null) return;
    this.at = this.data.at;
    this.show();
  }

  show() {
    const whole = Number.isInteger(this.at);
    const text = whole ? this.texts[this.at] : this.data.text;
    this.input.step = whole ? 1 : "any"; // between two notches only a value from Python stands
    if (this.input.valueAsNumber !== this.at) this.input.value = this.at;
    const last = this.texts.length - 1;
    // where the middle of the thumb is: it stays within the track
    const share = last > 0 ? this.at / last : 0;
    this.input.style.setProperty("--fill", `calc(${share} * (100% - var(--thumb)) + var(--thumb) / 2)`);
    this.input.setAttribute("aria-valuetext", text);
    this.output.textContent = text;
  }

  moved(at) {
    if (at === this.at) return this.show();
    this.at = at;
    this.owes = true;
    clearTimeout(this.settling);
    // first, while nothing on the page is to be laid out anew
    if (this.data.live) this.follower.follow(this.data.key, this.values[at], this.data.live);
    else this.hurry();
    this.show();
    this.rest();
  }

  // Tells Python.
  hurry() {
    this.owes = false;
    this.wanted = this.at;
    this.flush();
  }

  keyed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const last = this.texts.length - 1;
    const far = Math.max(1, Math.round(last / 10));
    const up = Math.floor(this.at) + 1;
    const down = Math.ceil(this.at) - 1;
    const to = {
      ArrowLeft: down,
      ArrowDown: down,
      ArrowRight: up,
      ArrowUp: up,
      PageDown: down + 1 - far,
      PageUp: up - 1 + far,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the page has shortcuts of its own
    this.hands.add(event.key);
    this.moved(Math.max(0, Math.min(last, to)));
  }

  released(hand) {
    if (hand === undefined) this.hands.clear();
    else this.hands.delete(hand);
    this.rest();
    this.landed();
    this.follow();
  }

  // Something cannot follow by itself.
  owe() {
    this.owes = true;
    this.rest();
  }

  // patience: milliseconds that what is on its way may still take before the page is to do it.
  rest(patience = LONG) {
    clearTimeout(this.resting);
    if (!this.owes || this.hands.size) return;
    this.resting = setTimeout(() => {
      if (this.data.live && this.follower.busy && patience > 0) return this.rest(patience - RESTS);
      if (!this.data.alone || !this.follower.complete) return this.hurry();
      writeAddress();
      this.resting = setTimeout(() => this.hurry(), STILL);
    }, RESTS);
  }

  flush() {
    if (this.flying || this.wanted === null) return;
    clearTimeout(this.settling);
    this.sent = this.wanted;
    this.wanted = null;
    this.flying = { answered: false, since: performance.now() };
    this.number += 1;
    const followed = Boolean(this.follower.complete);
    if (!followed) this.follower.leave();
    this.send({ at: this.sent, number: this.number, followed });
    const app = document.querySelector(STATE);
    if (app) this.watcher.observe(app, { attributes: true, attributeFilter: ["data-test-script-state"] });
    this.clock ??= setInterval(() => this.checked(), 250);
  }

  // The message under way is done with, or not yet: a run of the whole page is let finish, but not
  // for long, and not once the hand has left a slider that nothing follows.
  landed() {
    if (!this.flying?.answered) return;
    const late = performance.now() - this.flying.since > LONG;
    if ((this.hands.size || this.data.live) && runs() && !late) return;
    this.catchUp();
    if (this.data.live && !this.owes && this.wanted === null)
      this.settling = setTimeout(() => settle(this.data.key), SETTLED);
    this.free();
    this.follow();
  }

  free() {
    this.flying = null;
    this.watcher.disconnect();
    clearInterval(this.clock);
    this.clock = undefined;
    this.flush();
  }

  checked() {
    if (!this.root.isConnected) return this.stop();
    if (this.flying.answered) return this.landed();
    if (isAway()) unsent.set(this.data.key, this.at);
    if (runs() || isAway()) this.flying.since = performance.now();
    else if (performance.now() - this.flying.since > LOST) {
      // once more; a page that fails before it comes to this slider would be run for ever
      if (!this.again) this.wanted ??= this.at;
      this.again = !this.again;
      this.free();
    }
  }

  explain(shown) {
    if (!this.tip.isConnected) return;
    this.tip.togglePopover(shown);
    if (!shown) return;
    const place = this.help.getBoundingClientRect();
    const { width, height } = this.tip.getBoundingClientRect();
    const below = place.bottom + 6;
    const fits = below + height < innerHeight;
    this.tip.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
    this.tip.style.top = `${fits ? below : Math.max(8, place.top - 6 - height)}px`;
  }

  stop() {
    clearTimeout(this.resting);
    document.removeEventListener("click", this.left, true);
    this.follower.stop();
    page.behind.delete(this.data.key);
    settle(this.data.key);
    this.watcher.disconnect();
    clearInterval(this.clock);
    this.clock = undefined;
  }
}

const ENDS = ["pointerup", "pointercancel", "blur"];
function element(tag, name = "") {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}
