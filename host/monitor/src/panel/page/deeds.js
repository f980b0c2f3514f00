// What an operator does. Every deed carries the session's key, which only this page has asked for.

import { at, make, put } from "./show.js";

const WAIT_MS = 8000, HOLD_MS = 1500, TAP_MS = 500, TOAST_MS = 6000;
let key = null;

export class SignedOut extends Error {}

export async function ask(path, options = {}) {
  const signal = AbortSignal.timeout(WAIT_MS);
  const answer = await fetch(path, { cache: "no-store", redirect: "error", signal, ...options });
  if (answer.status === 401) throw new SignedOut("signed out");
  if (!answer.ok) throw new Error(await sentence(answer));
  return answer;
}

async function sentence(answer) {
  try {
    return (await answer.json()).error || "the host refused it";
  } catch {
    return "the host answered " + answer.status;
  }
}

/* The key, once a page. */
export async function session() {
  const told = await (await ask("/panel/session")).json();
  key = told.key;
  return told;
}

const posted = (body) => ({ method: "POST", body: JSON.stringify(body),
  headers: { "content-type": "application/json", "x-sandpit-key": key } });

/* Does something small; what came of it, or why not, is said. */
export async function deed(path, body) {
  try {
    if (!key) await session();
    const answer = await ask(path, posted(body));
    toast(answer.status === 204 ? "Done." : (await answer.json()).said);
    return true;
  } catch (error) {
    if (error instanceof SignedOut) location.reload();
    toast("Not done: " + error.message, "bad");
    return false;
  }
}

export function toast(text, kind) {
  const made = make("p", "toast " + (kind || ""), text);
  at("toasts").append(made);
  setTimeout(() => made.remove(), TOAST_MS);
  while (at("toasts").children.length > 3) at("toasts").firstChild.remove();
}

/* Asks first; whether it was said yes. `word`: what has to be typed. */
export function confirm({ title, text, facts, yes, no, word }) {
  const dialog = at("ask");
  if (dialog.open) return Promise.resolve(false);
  put(at("ask-title"), title);
  put(at("ask-text"), text);
  put(at("ask-yes"), yes);
  put(at("ask-no"), no);
  at("ask-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
  const field = at("ask-word");
  field.hidden = at("ask-word-label").hidden = !word;
  field.value = "";
  at("ask-yes").disabled = Boolean(word);
  field.oninput = () => { at("ask-yes").disabled = field.value.trim().toUpperCase() !== word; };
  dialog.returnValue = "no";
  dialog.showModal();
  (word ? field : at("ask-no")).focus();
  return new Promise((told) => {
    dialog.addEventListener("close", () => told(dialog.returnValue === "yes"), { once: true });
  });
}

/* A button that is held for a second and a half, or tapped and confirmed by a word. */
export function holding(button, act) {
  let timer = null, since = 0;
  const release = () => {
    clearTimeout(timer);
    timer = null;
    button.classList.remove("held");
  };
  const hold = () => {
    if (timer || button.disabled) return;
    since = performance.now();
    button.classList.add("held");
    timer = setTimeout(() => { release(); act("held the panic button of the panel"); }, HOLD_MS);
  };
  const let_go = async () => {
    const was_tap = timer && performance.now() - since < TAP_MS;
    release();
    if (!was_tap) return;
    const is_meant = await confirm({ title: "Stop all trading?", word: "STOP", yes: "Stop all trading", no: "Go on trading",
      text: "The watchdog takes away the right to trade, ends the host and cancels at the broker. Only “sandpit-watchdog arm” on the machine starts trading again.",
      facts: [] });
    if (is_meant) act("typed STOP in the panel");
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    hold();
  });
  button.addEventListener("pointerup", let_go);
  for (const gone of ["pointercancel", "lostpointercapture", "blur"]) button.addEventListener(gone, release);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) hold();
  });
  button.addEventListener("keyup", (event) => {
    if (event.key === " " || event.key === "Enter") let_go();
  });
}

/* Pulls the kill. `step` hears of each step; the host may be gone before it has told them all. */
export async function panic(reason, step) {
  step({ step: "sent" });
  let was_taken = false;
  try {
    if (!key) await session();
    // No time limit: the answer ends when the host does.
    const answer = await fetch("/panel/panic", { ...posted({ reason }), cache: "no-store", redirect: "error" });
    if (answer.status === 401) throw new SignedOut("signed out");
    if (!answer.ok) throw new Error(await sentence(answer));
    // The host has begun; it may be ended before a single line of its answer arrives.
    was_taken = true;
    step({ step: "asked" });
    const reader = answer.body.getReader(), decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines.filter(Boolean)) {
        step(JSON.parse(line));
      }
    }
    step({ step: "over" });
  } catch (error) {
    if (error instanceof SignedOut) step({ step: "signed-out" });
    else if (was_taken) step({ step: "gone" });
    else step({ step: "unclear", sentence: error.message });
  }
}
