// The player: buttons, a slider for the step, and the speed.

import { drawn, element } from "./elements.js";

/** @import { InstrumentView } from "./types.d.ts" */

const ICONS = {
  first: "M6 5v14M19 5l-9 7 9 7z",
  back: "M17 5l-10 7 10 7z",
  play: "M8 4.5l12 7.5-12 7.5z",
  pause: "M7.5 5h3v14h-3zM13.5 5h3v14h-3z",
  on: "M7 5l10 7-10 7z",
  last: "M18 5v14M5 5l9 7-9 7z",
  write: "M4 20l1-4L16 5l3 3L8 19z",
};

export class Player {
  /** @param {InstrumentView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.root = element("div", "player");
    this.root.setAttribute("role", "group");
    this.buttons = {
      first: button("first", () => instrument.go(1)),
      back: button("back", () => instrument.go(instrument.t - 1)),
      play: button("play", () => instrument.toggle()),
      on: button("on", () => instrument.go(instrument.t + 1)),
      last: button("last", () => instrument.go(instrument.recording.steps)),
      write: button("write", () => instrument.write()),
    };
    this.bar = element("input", "", { type: "range", min: "1", step: "1" });
    this.bar.addEventListener("input", () => instrument.go(this.bar.valueAsNumber));
    this.barPlace = element("div", "bar");
    this.barPlace.append(this.bar);
    this.count = element("span", "rnnviz-count");
    this.speed = element("select");
    this.speed.addEventListener("change", () => instrument.setSpeed(Number(this.speed.value)));
    this.speedPlace = element("div", "speed");
    this.speedPlace.append(this.speed);
    this.root.append(...Object.values(this.buttons), this.barPlace, this.count, this.speedPlace);
    /** @type {boolean | undefined} the state that the button shows */
    this.playing = undefined;
  }

  draw() {
    const { recording } = this.instrument;
    this.root.setAttribute("aria-label", recording.say("instrument.keys"));
    for (const [name, button] of Object.entries(this.buttons)) {
      if (name === "play" || name === "write") continue;
      button.title = recording.say(`player.${name}`);
      button.setAttribute("aria-label", button.title);
    }
    this.bar.max = String(recording.steps);
    this.bar.setAttribute("aria-label", recording.say("player.t"));
    this.barPlace.hidden = recording.steps < 2;
    this.speed.setAttribute("aria-label", recording.say("instrument.speed"));
    this.speed.title = recording.say("instrument.speed");
    this.speed.replaceChildren(
      ...Array.from({ length: recording.fastest }, (_, i) => {
        const text = recording.say("instrument.steps_a_second", { speed: i + 1 });
        return element("option", "", { value: String(i + 1), textContent: text });
      }),
    );
    this.playing = undefined;
    this.mark();
  }

  mark() {
    const { recording, t, playing, speed } = this.instrument;
    const { steps } = recording;
    const text = recording.say("player.count", { t, steps });
    if (this.count.textContent !== text) this.count.textContent = text;
    if (this.bar.valueAsNumber !== t) this.bar.value = String(t);
    this.bar.style.setProperty("--share", String(steps > 1 ? (t - 1) / (steps - 1) : 0));
    this.bar.setAttribute("aria-valuetext", text);
    if (Number(this.speed.value) !== speed) this.speed.value = String(speed);
    const { write } = this.buttons;
    write.hidden = !recording.writes;
    write.disabled = t >= recording.writes;
    write.title = recording.say(write.disabled ? "player.write_full" : "player.write");
    write.setAttribute("aria-label", write.title);
    this.root.classList.toggle("at-first", t === 1);
    this.root.classList.toggle("at-last", t === steps);
    if (this.playing === playing) return;
    this.playing = playing;
    const { play } = this.buttons;
    play.replaceChildren(icon(playing ? "pause" : "play"));
    play.dataset.now = playing ? "playing" : "still";
    const word = recording.say(playing ? "player.pause" : "player.play");
    play.setAttribute("aria-label", word);
    play.title = `${word} · ${recording.say("instrument.keys")}`;
  }
}

/**
 * @param {keyof typeof ICONS} name
 * @param {() => void} act
 */
function button(name, act) {
  const made = element("button", name, { type: "button" });
  made.dataset.do = name;
  made.append(icon(name));
  made.addEventListener("click", act);
  return made;
}

/** @param {keyof typeof ICONS} name */
function icon(name) {
  const path = drawn("path", { d: ICONS[name] });
  return drawn("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, path);
}
