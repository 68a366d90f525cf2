// What all parts of the page share: the data, the state, and making elements.
"use strict";
const report = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const NAMES = {
  wer: "WER", cer: "CER", bleu: "BLEU", chrf: "chrF", ter: "TER", al: "AL", al_hyp: "AL, own length", laal: "LAAL", yaal: "YAAL",
  dal: "DAL", ap: "AP", cw: "CW", atd: "ATD", initial: "initial delay", length_ratio: "length ratio", subword_al_hyp: "AL in sub-words",
  subword_cw: "CW in sub-words", wrong_language: "wrong language %",
};
const LOWER_IS_BETTER = new Set(Object.keys(NAMES).filter((name) => !["bleu", "chrf", "length_ratio"].includes(name)));
const hidden = new Set(); // systems switched off in the legend
let current = report.sets[0];

const colour = (system) => `var(--c${report.systems.indexOf(system) % 12})`;

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function dot(system) {
  const made = element("span", { className: "dot" });
  made.style.background = colour(system);
  return made;
}

// Replace the choices of a <select>, keeping the chosen one where it still exists.
function fill(select, choices) {
  const before = select.value;
  select.replaceChildren(...choices.map(([value, text]) => element("option", { value, textContent: text })));
  if (choices.some(([value]) => value === before)) select.value = before;
}

function short(number) {
  if (number === null || number === undefined) return "-";
  const size = Math.abs(number);
  for (const [limit, unit] of [[1e9, " G"], [1e6, " M"], [1e4, " k"]]) {
    if (size >= limit) return (number / limit * (unit === " k" ? 10 : 1)).toFixed(1) + unit;
  }
  if (size !== 0 && size < 0.001) return number.toExponential(1);
  return String(Number(number.toPrecision(size >= 1000 ? 4 : 3)));
}

const streamMetrics = (names) =>
  Object.entries(current.compare).flatMap(([stream, metrics]) =>
    Object.keys(metrics).filter((metric) => !names || names.includes(metric))
      .map((metric) => [`${stream} ${metric}`, `${stream.toUpperCase()} ${NAMES[metric]}`]));
