// The list of keys: opened by "?" or by its button, closed by Escape, by "?" or by the button within.

const WRITTEN =
  "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable=true]";

/** @typedef {{title: string, close: string, keys: [string, string][]}} KeyWords keys and what they do */

/** @type {HTMLDialogElement | undefined} */
let dialog;

/**
 * Puts the button and the list into the page, in the reader's language.
 * @param {HTMLElement} parent
 * @param {KeyWords} words
 */
export function offerKeys(parent, words) {
  const opener = parent.querySelector("button") ?? made("button", "?");
  dialog = parent.querySelector("dialog") ?? document.createElement("dialog");
  const close = made("button", words.close);
  for (const button of [opener, close]) button.type = "button";
  opener.className = "opener";
  opener.title = words.title;
  opener.setAttribute("aria-label", `?: ${words.title}`);
  opener.setAttribute("aria-haspopup", "dialog");
  opener.onclick = toggle;
  close.onclick = toggle;
  const list = document.createElement("dl");
  for (const [key, act] of words.keys) list.append(made("dt", key), made("dd", act));
  dialog.setAttribute("aria-label", words.title);
  dialog.replaceChildren(made("h2", words.title), list, close);
  if (!opener.isConnected) {
    parent.append(opener, dialog);
    document.addEventListener("keydown", pressed);
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} text
 */
function made(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function toggle() {
  if (dialog?.open) dialog.close();
  else dialog?.showModal();
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const [target] = event.composedPath();
  const writes = target instanceof Element && target.closest(WRITTEN);
  if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey || writes) return;
  event.preventDefault();
  toggle();
}
