// Texts, numbers, times and lists. Whatever comes from outside is put in as text, never as markup.

export const at = (id) => document.getElementById(id);

/* An element with a class and a text. */
export function make(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

/* Only what has changed is touched, so that nothing flickers and a screen reader is not told again. */
export function put(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function tint(element, ...names) {
  for (const name of ["up", "down", "caution", "good", "warn", "bad", "error"]) {
    element.classList.toggle(name, names.includes(name));
  }
}

/* A list by keys: entries that stay keep their element, and with it the focus. */
export function list(element, entries, key, create, update) {
  const old = new Map([...element.children].map((child) => [child.dataset.key, child]));
  entries.forEach((entry, place) => {
    const name = String(key(entry, place));
    let child = old.get(name);
    if (!child) {
      child = create(entry);
      child.dataset.key = name;
    }
    old.delete(name);
    update(child, entry);
    if (element.children[place] !== child) element.insertBefore(child, element.children[place] ?? null);
  });
  for (const gone of old.values()) gone.remove();
}

const two = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
const plain = new Intl.NumberFormat("en-US", two);
const whole = new Intl.NumberFormat("en-US");
const share = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const known = (value) => typeof value === "number" && Number.isFinite(value);
export const usd = (value) => (known(value) ? (value < 0 ? "−$" : "$") + plain.format(Math.abs(value)) : "–");
export const count = (value) => (known(value) ? whole.format(value) : "–");
export const percent = (value) => (known(value) ? share.format(value) + " %" : "–");
export const sign = (value) => (value > 0 ? "+" : value < 0 ? "−" : "");
export const gain = (value) => (known(value) ? sign(value) + "$" + plain.format(Math.abs(value)) : "–");
export const gain_percent = (value) => (known(value) ? sign(value) + share.format(Math.abs(value)) + " %" : "–");
export const direction = (value) => (!known(value) || value === 0 ? "" : value > 0 ? "up" : "down");
/* A decimal text of the broker's, as it is but for a longer minus. */
export const decimal = (text) => String(text ?? "–").replace(/^-/, "−");
export const dollars = (text) => (text === null || text === undefined ? "–" : "$" + decimal(text));

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
  hourCycle: "h23" });
const market = new Intl.DateTimeFormat("en-US", { timeZone: "America/New_York", weekday: "short", month: "short",
  day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const market_day = new Intl.DateTimeFormat("en-CA", { timeZone: "America/New_York" });

export const local = (ms) => clock.format(new Date(ms));
export const in_market = (ms) => market.format(new Date(ms)) + ", New York";
export const market_date = (ms) => market_day.format(new Date(ms));

/* A time in the viewer's zone, with market time in its title. `now_ms` is market time. */
export function time(element, ms, now_ms) {
  if (!Number.isFinite(ms)) return put(element, "–");
  const is_today = Math.abs((now_ms ?? ms) - ms) < 20 * 3600e3;
  put(element, is_today ? clock.format(new Date(ms)) : day.format(new Date(ms)));
  const title = "Market time " + in_market(ms);
  if (element.title !== title) element.title = title;
  if (element.tagName === "TIME") element.dateTime = new Date(ms).toISOString();
}

export function age(seconds) {
  if (!known(seconds)) return "–";
  if (seconds < 60) return Math.floor(seconds) + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min";
  if (seconds < 172800) return Math.floor(seconds / 3600) + " h";
  return Math.floor(seconds / 86400) + " days";
}
