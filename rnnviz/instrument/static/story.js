// What happens at the current step, in a sentence: what the selected unit follows, what it has just read, and
// what that did to its gates and its state; or, of compared networks, how differently they have read it.

import { element, termButton } from "./elements.js";
import { filled, number } from "./recording.js";

/** @import { Recording } from "./recording.js" */
/** @import { ComparedStory, InstrumentView, UnitStory } from "./types.d.ts" */

const CLEAR = 0.5; // |r| from which a unit follows a property
const SAME = 0.005; // a smaller change is none: both numbers have two decimals
const HALF = 0.5; // a gate is open above
// Around a character that was read, which may be a quote or written from right to left.
const [ISOLATE, END_OF_ISOLATE] = ["\u2068", "\u2069"];
// Such a character, or a term of the glossary and its name, as glossary.py marks them.
const MARKED = /\u2068([^\u2069]*)\u2069|\ue000(\w+)\ue001([^\ue002]*)\ue002/;

export class Story {
  /** @param {InstrumentView} instrument */
  constructor(instrument) {
    this.instrument = instrument;
    this.root = element("p", "rnnviz-story");
    this.lead = element("b");
    this.rest = element("span");
    this.root.append(this.lead, " ", this.rest);
  }

  draw() {}

  mark() {
    const { recording, t, unit, playing } = this.instrument;
    const { unitStory, comparedStory } = recording;
    this.root.hidden = !(unitStory || comparedStory);
    // a screen reader would fall behind while it plays
    this.root.setAttribute("aria-live", playing ? "off" : "polite");
    if (unitStory) {
      tell(this.lead, followed(unitStory, unit));
      tell(this.rest, readByUnit(recording, unitStory.words, unit, t));
    } else if (comparedStory) {
      tell(this.lead, changesOfStates(recording, comparedStory, t));
      tell(this.rest, chancesOfNext(recording, comparedStory, t));
    }
  }
}

/**
 * Shows a sentence, its characters in boxes, if it is another one.
 *
 * @param {HTMLElement} place
 * @param {string} sentence
 */
function tell(place, sentence) {
  if (place.dataset.told === sentence) return;
  place.dataset.told = sentence;
  // a plain part, then the three groups of MARKED, and so on
  const parts = sentence.split(MARKED);
  /** @type {(string | Node)[]} */
  const nodes = [parts[0]];
  for (let i = 1; i < parts.length; i += 4) {
    const [character, term, name, plain] = parts.slice(i, i + 4);
    const marked = term ? termButton(term, name) : element("code", "", { textContent: character });
    nodes.push(marked, plain);
  }
  place.replaceChildren(...nodes);
}

/** @param {string} character */
const isolated = (character) => `${ISOLATE}${character}${END_OF_ISOLATE}`;

/**
 * Which property of the text a unit follows.
 *
 * @param {UnitStory} story
 * @param {number} unit
 */
export function followed({ scores, most, words }, unit) {
  const score = scores?.[unit] ?? "";
  if (!score) return filled(words[unit === most ? "story.varies_most" : "story.unit"], { unit });
  const isClear = Math.abs(Number(score.replace("−", "-"))) >= CLEAR;
  return filled(words[isClear ? "story.follows" : "story.hardly_follows"], { unit, score });
}

/**
 * What a unit has just read, its gate that has changed most, and its state.
 *
 * @param {Recording} recording
 * @param {Record<string, string>} words
 * @param {number} unit
 * @param {number} t
 */
export function readByUnit(recording, words, unit, t) {
  const character = isolated(recording.character(t));
  const name = recording.rows.some((row) => row.name === "cell_state")
    ? "cell_state"
    : "hidden_state";
  const state = changed(recording, words, name, unit, t, ["story.falls", "story.rises"]);
  const gate = t > 1 && mostChanged(recording, unit, t);
  if (!gate) return filled(words["story.read_state"], { character, state });
  const [before, after] = [recording.at(gate, t - 1, unit), recording.at(gate, t, unit)];
  const isCrossed = before >= HALF !== after >= HALF;
  const verbs = isCrossed ? ["story.closes", "story.opens"] : ["story.falls", "story.rises"];
  const moved = changed(recording, words, gate, unit, t, verbs);
  return filled(words["story.read_gate"], { character, gate: moved, state });
}

/**
 * The gate between 0 and 1 whose value has changed most since the step before.
 *
 * @param {Recording} recording
 * @param {number} unit
 * @param {number} t
 */
function mostChanged(recording, unit, t) {
  let most = -1;
  let found = "";
  for (const { name, kind, signed } of recording.rows) {
    if (kind !== "gates" || signed) continue;
    const change = Math.abs(recording.at(name, t, unit) - recording.at(name, t - 1, unit));
    if (change > most) [most, found] = [change, name];
  }
  return found;
}

/**
 * From what to what an array has changed at a step.
 *
 * @param {Recording} recording
 * @param {Record<string, string>} words
 * @param {string} name
 * @param {number} unit
 * @param {number} t
 * @param {string[]} verbs keys of the texts for a smaller and a larger value
 */
function changed(recording, words, name, unit, t, [smaller, larger]) {
  const [before, after] = [recording.at(name, t - 1, unit), recording.at(name, t, unit)];
  const label = words[`gate.${name}`] ?? recording.row(name).label;
  const values = { name: label, from: number(before), to: number(after) };
  if (Math.abs(after - before) < SAME || values.from === values.to)
    return filled(words["story.stays"], values);
  return filled(words[after < before ? smaller : larger], values);
}

/**
 * Which of the compared networks has changed its state most, and which least.
 *
 * @param {Recording} recording
 * @param {ComparedStory} story
 * @param {number} t
 */
export function changesOfStates(recording, { names, changes, words }, t) {
  const character = isolated(recording.character(t));
  const key = (/** @type {string} */ name) => (recording.plain ? name : `${name}_text`);
  if (t === 1) return filled(words["story.starts"], { character });
  const known = changes.flatMap((of, i) => {
    const share = of[t - 1];
    return share === null ? [] : [{ name: names[i], share }];
  });
  if (known.length < 2) return "";
  known.sort((one, other) => other.share - one.share);
  const [most, least] = [known[0], known[known.length - 1]];
  if (most.share === least.share)
    return filled(words[key("story.alike")], { t, character, share: most.share });
  const values = { most: most.name, high: most.share, least: least.name, low: least.share };
  return filled(words[key("story.changes")], { t, character, ...values });
}

/**
 * How likely each network thought the character that came next.
 *
 * @param {Recording} recording
 * @param {ComparedStory} story
 * @param {number} t
 */
export function chancesOfNext(recording, { names, chances, words }, t) {
  const next = recording.character(t + 1);
  if (!chances || !next) return "";
  const list = names.map((name, i) =>
    filled(words["story.chance"], { name, p: chances[i][t - 1] }),
  );
  return filled(words["story.next"], { next: isolated(next), list: list.join(", ") });
}
