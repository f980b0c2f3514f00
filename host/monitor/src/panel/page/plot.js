// The equity curve, and below it how far it lies under its peak: plain SVG with axes.

import { make, usd, percent } from "./show.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 88, RIGHT = 12, TOP = 12, GAP = 26, BOTTOM = 22;

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/* Round steps that cover a range with about so many lines. */
function steps(from, to, wanted) {
  const rough = (to - from) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((part) => part * power).find((part) => part >= rough);
  const lines = [];
  for (let value = Math.ceil(from / step) * step; value <= to + step * 1e-9; value += step) lines.push(value);
  return { lines, step };
}

/* How far each point lies under the highest before it, per cent. */
export function falls(points) {
  let peak = -Infinity;
  return points.map(([, value]) => {
    peak = Math.max(peak, value);
    return peak > 0 ? ((value - peak) / peak) * 100 : 0;
  });
}

const short_usd = (value, step) => {
  const sign = value < 0 ? "−$" : "$", size = Math.abs(value);
  if (step >= 1000) return sign + Math.round(size / 1000).toLocaleString("en-US") + "k";
  return sign + size.toLocaleString("en-US", { maximumFractionDigits: step < 1 ? 2 : 0, minimumFractionDigits: step < 1 ? 2 : 0 });
};

function times(from, to, wanted) {
  const choices = [5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 604800].map((s) => s * 1000);
  const step = choices.find((choice) => (to - from) / choice <= wanted) ?? choices.at(-1);
  const zone = new Date(from).getTimezoneOffset() * 60e3;
  const lines = [];
  for (let ms = Math.ceil((from - zone) / step) * step + zone; ms <= to; ms += step) lines.push(ms);
  const options = step >= 86400e3 ? { month: "short", day: "numeric" }
    : step < 60e3 ? { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }
      : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const format = new Intl.DateTimeFormat(undefined, options);
  return lines.map((ms) => [ms, format.format(new Date(ms))]);
}

const path = (points) => points.map(([x, y], at) => (at ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1)).join("");

/* Draws `[[Unix milliseconds, US dollars], …]` into an element. */
export function draw(element, points) {
  const width = Math.max(280, Math.round(element.clientWidth - 16));
  if (points.length < 2) {
    element.replaceChildren(make("p", "empty", "The curve begins when the broker has told the equity twice."));
    return;
  }
  const upper = width < 500 ? 150 : 200, lower = width < 500 ? 50 : 64;
  const height = TOP + upper + GAP + lower + BOTTOM;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img" });
  const under = falls(points), worst = Math.min(...under), last = points.at(-1);
  svg.append(shape("title", {}, `Equity ${usd(last[1])} now, ${percent(-under.at(-1))} under its peak; at worst ${percent(-worst)}`));

  const begin = points[0][0], end = last[0], span = end - begin || 1;
  const values = points.map(([, value]) => value);
  let least = Math.min(...values), most = Math.max(...values);
  const room = Math.max((most - least) * 0.08, Math.abs(most) * 1e-5, 0.01);
  least -= room;
  most += room;
  const x = (ms) => LEFT + ((ms - begin) / span) * (width - LEFT - RIGHT);
  const y = (value) => TOP + upper - ((value - least) / (most - least)) * upper;
  const floor = Math.min(worst * 1.1, -0.05), base = TOP + upper + GAP;
  const depth = (value) => base + (value / floor) * lower;

  const grid = steps(least, most, upper / 45);
  for (const value of grid.lines) {
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    svg.append(shape("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, short_usd(value, grid.step)));
  }
  for (const [value, label] of [[0, "0 %"], [floor, "−" + (-floor).toFixed(2) + " %"]]) {
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: depth(value), y2: depth(value) }));
    svg.append(shape("text", { x: LEFT - 8, y: depth(value) + 4, "text-anchor": "end" }, label));
  }
  for (const [ms, label] of times(begin, end, width < 500 ? 4 : 8)) {
    const anchor = x(ms) > width - 34 ? "end" : x(ms) < LEFT + 14 ? "start" : "middle";
    svg.append(shape("text", { x: x(ms), y: height - 4, "text-anchor": anchor }, label));
  }
  const curve = points.map(([ms, value]) => [x(ms), y(value)]);
  const fall = points.map(([ms], place) => [x(ms), depth(under[place])]);
  const right = x(end), left = x(begin);
  svg.append(shape("path", { class: "under", d: `${path(curve)}L${right} ${TOP + upper}L${left} ${TOP + upper}Z` }));
  svg.append(shape("path", { class: "curve", d: path(curve) }));
  svg.append(shape("path", { class: "fall", d: `M${left} ${depth(0)}${path(fall).replace("M", "L")}L${right} ${depth(0)}Z` }));
  svg.append(shape("circle", { class: "now", cx: right, cy: y(last[1]), r: 4.5 }));
  element.replaceChildren(svg);
}
