// The panel: one stream of events in, one page out.

import * as show from "./show.js";
import { at, count, direction, gain, list, make, put, tint, usd } from "./show.js";
import { draw, falls } from "./plot.js";
import { SignedOut, ask, confirm, deed, holding, panic, session, toast } from "./deeds.js";

const STALE_MS = 3500, LOOK_MS = 500, RECALL_MS = 15000, RETRY_MS = 2000, PLOT_MS = 5000, PANIC_MS = 5000;
const MAX_LIVE_POINTS = 4000;

let newest_ms = null, now_ms = null, points = [], is_read_only = true, is_panicking = false, is_out = false, panicked_ms = 0;
let source = null, drawn_at = 0;

/* Connection. */

function connect() {
  source?.close();
  source = new EventSource("/panel/events");
  source.onmessage = (event) => {
    newest_ms = Date.now();
    look();
    render(JSON.parse(event.data));
  };
  source.addEventListener("over", signed_out);
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(reconnect, RETRY_MS);
  };
}

/* A stream that is refused says not why: the session does. */
async function reconnect() {
  try {
    await begin();
  } catch (error) {
    if (error instanceof SignedOut) signed_out();
    else setTimeout(reconnect, RETRY_MS);
  }
}

async function begin() {
  const told = await session();
  is_read_only = told.read_only;
  is_out = false;
  document.body.classList.toggle("read-only", is_read_only);
  at("panic-bar").hidden = is_read_only;
  connect();
  recall();
}

function signed_out() {
  source?.close();
  is_out = true;
  look();
}

function look() {
  const is_stale = newest_ms === null || Date.now() - newest_ms > STALE_MS;
  const link = is_out ? "out" : newest_ms === null ? "opening" : is_stale ? "stale" : "live";
  document.body.dataset.link = link;
  const text = { out: "signed out", opening: "connecting", live: "live " + show.local(newest_ms) };
  put(at("link-text"), text[link] ?? "stale since " + show.local(newest_ms));
  if (is_out && !at("link").querySelector("a")) {
    const again = make("a", "", "sign in");
    again.href = "/";
    at("link").append(again);
  }
}

/* The account. */

function render(view) {
  now_ms = Date.parse(view.market_time);
  const mode = at("mode"), is_live = view.mode === "live";
  put(mode, { live: "LIVE MONEY", paper: "PAPER", "dry-run": "DRY RUN" }[view.mode] ?? view.mode);
  mode.hidden = false;
  mode.className = "mode " + (is_live ? "live-money" : view.mode === "paper" ? "paper" : "");
  document.body.classList.toggle("is-live", is_live);
  document.title = usd(view.equity_usd) + " · Sandpit" + (is_live ? " LIVE" : "");
  put(at("market-time"), show.in_market(now_ms));
  at("frozen").hidden = !view.frozen;
  put(at("frozen-text"), view.frozen ? view.frozen + "." : "");
  at("books").hidden = view.reconciled;
  if (show.known(view.equity_usd)) add_point(now_ms, view.equity_usd);
  account(view);
  lease(view);
  kill(view.fence);
  strategies(view);
  positions(view);
  orders(view);
  alerts(view);
  streams(view);
  budgets(view);
  if (Date.now() - drawn_at > PLOT_MS) plot();
}

function add_point(ms, value) {
  const last = points.at(-1);
  if (!last || (ms > last[0] && (value !== last[1] || ms - last[0] > 60e3))) points.push([ms, value]);
  if (points.length > MAX_LIVE_POINTS) points = points.filter((_, place) => place % 2 === 0 || place > MAX_LIVE_POINTS / 2);
}

function plot() {
  drawn_at = Date.now();
  draw(at("plot"), points);
  if (points.length < 2) return;
  put(at("plot-note"), "US dollars");
}

/* Against the last reading of an earlier day, or the first that is known. */
function account(view) {
  put(at("equity"), usd(view.equity_usd));
  const today = show.market_date(now_ms);
  const before = points.findLast(([ms]) => show.market_date(ms) < today);
  const base = before ?? points[0];
  const gained = base ? view.equity_usd - base[1] : null;
  put(at("day"), gain(gained));
  tint(at("day"), direction(gained));
  put(at("day-sub"), base ? show.gain_percent((gained / base[1]) * 100) + (before ? "" : " since " + show.local(base[0])) : "");
  const under = falls(points);
  put(at("drawdown"), under.length ? show.percent(Math.max(0, -under.at(-1))) : "–");
  put(at("drawdown-sub"), under.length ? "worst " + show.percent(Math.max(0, -Math.min(...under))) : "from the peak");
}

function lease(view) {
  const element = at("lease"), fence = view.fence, left = view.lease_ms_left;
  const state = fence.state ? "watchdog " + fence.state : "watchdog does not answer";
  if (left === null) {
    put(element, "not needed");
    put(at("lease-sub"), "nothing is sent; " + state);
    return tint(element);
  }
  const is_held = left > 0;
  put(element, is_held ? "held" : fence.layer ? "killed" : "none");
  tint(element, is_held ? "up" : "down");
  put(at("lease-sub"), (is_held ? (left / 1000).toFixed(1) + " s left; " : "") + state);
}

/* The kill. */

const PROOFS = {
  PENDING_AT_BROKER: "something is open, or nobody knows yet; it keeps trying",
  ZERO_SEEN: "a look showed nothing open; a late order may still land",
  CONFIRMED_ZERO: "every look of the whole window showed nothing open",
  STOPS_ONLY: "every look of the whole window showed only stops that are kept",
  FLAT: "every look of the whole window showed no order and no position",
};

function kill(fence) {
  const is_killed = Boolean(fence.layer);
  if (is_killed) {
    at("kill").hidden = false;
    put(at("kill-title"), fence.state === "killed" ? "Killed: nothing trades" : "Being killed");
    put(at("kill-text"), "Only “sandpit-watchdog arm” on the machine starts trading again.");
    at("kill-facts").hidden = false;
    put(at("kill-state"), fence.state ?? "does not answer");
    put(at("kill-layer"), fence.layer);
    put(at("kill-reason"), fence.reason ?? "");
    show.time(at("kill-at"), fence.killed_at_unix_s * 1000, Date.now());
    put(at("kill-proof"), fence.proof ? fence.proof + ": " + (PROOFS[fence.proof] ?? "") : "nothing is known yet");
    at("panic").disabled = true;
    put(at("panic-label"), "Stopped");
    put(at("panic-hint"), "the watchdog has killed");
  } else if (is_panicking && Date.now() - panicked_ms > PANIC_MS) {
    ready_again();
    said("The host still answers, and the watchdog does not say that it has killed. Press again, or run “sandpit-watchdog kill” on the machine.", true);
  } else if (!is_panicking && !at("kill-steps").children.length) {
    at("kill").hidden = true;
    at("panic").disabled = false;
    put(at("panic-label"), "Hold to stop all trading");
    put(at("panic-hint"), "1.5 seconds, or tap to type it");
  }
}

function said(text, is_bad) {
  at("kill").hidden = false;
  at("kill-steps").append(make("li", is_bad ? "bad" : "", text));
}

const once = (text) => at("kill-steps").lastChild?.textContent === text || said(text);

const GONE = "The answer has ended, as it does when the host is gone: a kill ends it, and the panel with it, until somebody arms again. Who killed, why, and the proof that nothing is open: the watchdog’s own page, or “sandpit-watchdog status” on the machine.";

function on_step(told) {
  switch (told.step) {
    case "sent": put(at("kill-title"), "Stopping all trading"); put(at("kill-text"), ""); return said("Sent to the host.");
    case "asked": return once("The host asks the watchdog.");
    case "taken": return said("The watchdog has taken it: no right to trade from here on.");
    case "stands": return kill(told);
    case "flag": return said(told.sentence, true);
    case "failed": ready_again(); return said(told.sentence, true);
    case "gone": case "over": return once(GONE);
    case "signed-out": ready_again(); return said("Not done: you are signed out. Sign in, or run “sandpit-watchdog kill” on the machine.", true);
    default: ready_again(); return said("Not known whether it was done: " + told.sentence + ". Press again, or run “sandpit-watchdog kill” on the machine.", true);
  }
}

function ready_again() {
  is_panicking = false;
  at("panic").disabled = false;
  put(at("panic-label"), "Hold to stop all trading");
  put(at("panic-hint"), "1.5 seconds, or tap to type it");
}

function pull(reason) {
  is_panicking = true;
  panicked_ms = Date.now();
  at("panic").disabled = true;
  put(at("panic-label"), "Stopping");
  put(at("panic-hint"), "see above");
  at("kill-steps").replaceChildren();
  scrollTo({ top: 0 });
  panic(reason, on_step);
}

/* Lists. */

function row(...parts) {
  const made = make("li");
  for (const [name, tag] of parts) made[name] = made.appendChild(make(tag ?? "div", name));
  return made;
}

function note(element, view, key, text) {
  const more = view.more?.[key];
  put(at(element), more ? `${text}; ${more} more are not shown` : text);
}

function button(label, act) {
  const made = make("button", "small-button", label);
  made.type = "button";
  made.addEventListener("click", async () => {
    made.disabled = true;
    await act(made);
    made.disabled = false;
  });
  return made;
}

const tag = (text, kind) => make("span", "tag " + (kind ?? ""), text);
const STATES = { running: "good", live: "good", resting: "warn", paused: "warn", stopped: "", quarantined: "bad", refused: "bad", stale: "bad", fallback: "warn" };

function tags(element, name, ...texts) {
  const wanted = [name, ...texts].join("\u0000");
  if (element.dataset.shown === wanted) return;
  element.dataset.shown = wanted;
  element.replaceChildren(make("span", "", name), ...texts.filter(Boolean).map((text) => tag(text, STATES[text] ?? "")));
}

function strategies(view) {
  const none = { symbols: [], orders: 0, fills: 0, events: 0, realised_usd: null, unrealised_usd: null };
  const refused = (view.refused ?? []).map((one) => ({ ...none, name: one.plugin, state: "refused", reason: one.reason }));
  const all = [...(view.strategies ?? []), ...refused];
  note("strategies-note", view, "strategies", all.length ? "realised and unrealised, US dollars" : "");
  at("strategies-empty").hidden = all.length > 0;
  list(at("strategies"), all, (one) => (one.state === "refused" ? "refused " : "") + one.name, new_strategy, (element, one) => {
    const is_paused = Boolean(one.paused);
    tags(element.name, one.name, is_paused ? "paused" : one.state);
    const is_refused = one.state === "refused";
    // What is held without a price, as right after a start, is worth nobody knows what.
    const total = one.unrealised_usd === null ? null : one.realised_usd + one.unrealised_usd;
    put(element.total, gain(total));
    tint(element.total, direction(total));
    put(element.parts, is_refused ? "" : gain(one.realised_usd) + " + " + gain(one.unrealised_usd));
    put(element.under, is_refused ? "" : `${count(one.orders)} orders, ${count(one.fills)} fills, ${count(one.events)} events; ${one.symbols.slice(0, 6).join(" ")}${one.symbols.length > 6 ? " …" : ""}`);
    const why = one.paused || one.reason || one.last_error;
    put(element.full, why ? (one.paused ? "Paused by " : is_refused ? "Not used: " : one.reason ? "Quarantined: " : "Last error: ") + why : "");
    element.full.hidden = !why;
    tint(element.full, one.paused ? "" : "error");
    if (element.act) put(element.act, is_paused ? "Resume" : "Pause");
    element.is_paused = is_paused;
  });
}

function new_strategy(one) {
  const made = row(["name"], ["side"], ["under"], ["acts"], ["full"]);
  made.total = made.side.appendChild(make("span"));
  made.parts = made.side.appendChild(make("small"));
  if (is_read_only || one.state === "refused") return made;
  made.act = made.acts.appendChild(button("Pause", async () => {
    // What is asked is what is done, whatever somebody else does meanwhile.
    const is_paused = made.is_paused;
    const is_meant = await confirm(is_paused
      ? { title: "Resume " + one.name + "?", yes: "Resume", no: "Leave it paused", text: "It may open positions again.", facts: [] }
      : { title: "Pause " + one.name + "?", yes: "Pause", no: "Let it run",
        text: "Its open entries are cancelled and only orders that reduce are sent, until you resume it.", facts: [] });
    if (is_meant) await deed(is_paused ? "/panel/resume" : "/panel/pause", { strategy: one.name });
  }));
  made.act.setAttribute("aria-label", "Pause or resume " + one.name);
  return made;
}

function positions(view) {
  const all = view.positions ?? [];
  note("positions-note", view, "positions", all.length ? "shares; value and unrealised gain" : "");
  at("positions-empty").hidden = all.length > 0;
  const create = () => {
    const made = row(["name"], ["side"], ["under"]);
    made.worth = made.side.appendChild(make("span"));
    made.gained = made.side.appendChild(make("small"));
    return made;
  };
  list(at("positions"), all, (one) => one.symbol, create, (element, one) => {
    put(element.name, one.symbol + "  " + show.decimal(one.qty));
    put(element.worth, usd(one.value_usd));
    put(element.gained, gain(one.unrealised_usd));
    tint(element.gained, direction(one.unrealised_usd));
    put(element.under, one.holdings.map((part) => `${part.strategy} ${show.decimal(part.qty)} at ${price(part.average_price)}`).join("; "));
  });
}

/* Averages have many digits. */
const price = (text) => (Number.isFinite(Number(text)) ? "$" + Number(text).toFixed(4).replace(/00$/, "") : show.dollars(text));

function worded(order) {
  const limits = [order.limit_price && "limit " + show.dollars(order.limit_price), order.stop_price && "stop " + show.dollars(order.stop_price)];
  const prices = limits.filter(Boolean).join(", ");
  return prices || order.kind;
}

function orders(view) {
  const all = view.open_orders ?? [];
  note("orders-note", view, "open_orders", all.length ? `${all.length} open` : "");
  at("orders-empty").hidden = all.length > 0;
  list(at("orders"), all, (one) => one.client_order_id, new_order, (element, one) => {
    element.order = one;
    tags(element.name, `${one.side} ${show.decimal(one.qty)} ${one.symbol}`, one.status);
    put(element.under, `${worded(one)}; ${one.strategy}; filled ${show.decimal(one.filled_qty)}; ${show.age(one.age_secs)} old`);
    element.under.title = "Recorded at market time " + show.in_market(Date.parse(one.since)) + "; " + one.client_order_id;
    if (element.act) element.act.hidden = one.status === "cancelling";
  });
}

function new_order(one) {
  const made = row(["name"], ["acts"], ["under"]);
  if (is_read_only) return made;
  made.act = made.acts.appendChild(button("Cancel", async () => {
    const order = made.order;
    const is_meant = await confirm({ title: "Cancel this order?", yes: "Cancel order", no: "Keep it",
      text: "It may still fill until the broker says that it is over.",
      facts: [["Order", `${order.side} ${show.decimal(order.qty)} ${order.symbol}`], ["Price", worded(order)],
        ["Filled", show.decimal(order.filled_qty)], ["Strategy", order.strategy], ["Id", order.client_order_id]] });
    if (is_meant) await deed("/panel/cancel", { client_order_id: order.client_order_id });
  }));
  made.act.setAttribute("aria-label", `Cancel ${one.side} ${one.qty} ${one.symbol}, ${one.client_order_id}`);
  return made;
}

function alerts(view) {
  const all = view.alerts ?? [];
  at("alerts-empty").hidden = all.length > 0;
  note("alerts-note", view, "alerts", all.length ? `${all.length} firing` : "");
  const key = (one) => one.name + JSON.stringify(one.labels);
  const create = () => row(["name"], ["when", "time"], ["full"], ["todo"]);
  list(at("alerts"), all, key, create, (element, one) => {
    const labels = (Array.isArray(one.labels) ? one.labels : Object.entries(one.labels ?? {})).map(([, value]) => value);
    put(element.name, "");
    element.name.replaceChildren(tag(one.severity, one.severity === "critical" ? "bad" : one.severity === "warning" ? "warn" : ""),
      make("span", "", [one.name, ...labels].join(" ")));
    show.time(element.when, one.since_unix_s ? one.since_unix_s * 1000 : Date.parse(one.since), now_ms);
    put(element.full, one.sentence);
    element.todo.className = "full";
    put(element.todo, one.to_do);
  });
}

function streams(view) {
  const all = view.streams ?? [];
  at("streams-empty").hidden = all.length > 0;
  list(at("streams"), all, (one) => one.name, () => row(["name"], ["side"], ["under"]), (element, one) => {
    const state = one.state === "live" ? one.health || "live" : one.state;
    tags(element.name, one.name, state);
    put(element.side, "");
    put(element.side, count(one.messages));
    put(element.under, `messages; ${count(one.reconnects)} reconnects, ${count(one.polls)} polls in its place`);
  });
}

function budgets(view) {
  const windows = (view.budgets ?? []).flatMap((one) => one.windows.map((window, place) => ({ one, window, place })));
  const create = () => {
    const made = row(["name"], ["side"], ["under"], ["bar"]);
    made.level = made.bar.appendChild(make("span"));
    return made;
  };
  list(at("budgets"), windows, ({ one, place }) => one.name + " " + place, create, (element, { one, window }) => {
    const used = window.limit ? (window.used / window.limit) * 100 : 0;
    put(element.name, one.name);
    put(element.side, `${count(window.used)} / ${count(window.limit)}`);
    const pause = one.pause_secs_left > 0 ? `; pause after a 429 for ${Math.ceil(one.pause_secs_left)} s` : "";
    put(element.under, `${window.unit} in ${show.age(window.span_secs)}; ${count(one.queued)} wait; ${count(one.http_429)} times 429${pause}`);
    element.level.style.setProperty("--share", Math.min(100, used).toFixed(1) + "%");
    tint(element.bar, used >= 95 || pause ? "bad" : used >= 80 ? "warn" : "");
  });
}

/* What the records remember. */

async function recall() {
  try {
    const told = await (await ask("/panel/equity")).json();
    const newest = told.at(-1)?.[0] ?? -Infinity;
    points = [...told, ...points.filter(([ms]) => ms > newest)];
    plot();
  } catch (error) {
    put(at("plot-note"), error instanceof SignedOut ? "" : "not read: " + error.message);
  }
  try {
    audit(await (await ask("/panel/audit")).json());
    put(at("audit-note"), "newest first");
  } catch (error) {
    put(at("audit-note"), error instanceof SignedOut ? "" : "not read: " + error.message);
  }
}

function audit(lines) {
  at("audit-empty").hidden = lines.length > 0;
  const key = (line, place) => [line.time, line.action, line.client_id, line.detail, place].join(" ");
  const create = () => row(["name"], ["when", "time"], ["full"]);
  list(at("audit"), lines, key, create, (element, line) => {
    put(element.name, [line.name || line.actor, line.action, line.symbol].filter(Boolean).join(" · "));
    show.time(element.when, Date.parse(line.time), now_ms ?? Date.now());
    put(element.full, [line.detail, line.client_id].filter(Boolean).join("; "));
  });
}

at("sign-out").addEventListener("click", async () => {
  if (await deed("/panel/logout", {})) location.reload();
});
holding(at("panic"), pull);
setInterval(look, LOOK_MS);
setInterval(() => { if (!is_out) recall(); }, RECALL_MS);
addEventListener("resize", plot);
// A tab that nobody sees holds no connection: a browser has six for a host, and a panic needs one.
document.addEventListener("visibilitychange", () => {
  if (is_out) return;
  if (document.hidden) {
    source?.close();
  } else {
    connect();
    recall();
  }
});
begin().catch((error) => {
  if (error instanceof SignedOut) return signed_out();
  toast("The host does not answer; trying again.", "bad");
  setTimeout(reconnect, RETRY_MS);
});
