// Streamlit's own texts in the reader's language.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inOurWords, PHRASES } from "../../rnnviz/ui/components/streamlit_words.js";

const words = Object.fromEntries(PHRASES.map(([, key]) => [key, `${key} {1}`]));

test("each of Streamlit's texts has one of ours, with its parts, and other texts are left alone", () => {
  assert.equal(inOurWords("Press Ctrl+Enter to apply", words), "apply_text Ctrl");
  assert.equal(inOurWords("Press ⌘+Enter to apply", words), "apply_text ⌘");
  assert.equal(inOurWords("Help for the seed", words), "help_for the seed");
  assert.equal(inOurWords("I need Help", words), "I need Help");
  assert.equal(inOurWords("", words), "");
});
