// The utterances: searched, sorted and shown a page at a time, so that thousands do not slow the page down.
const PAGE = 20;
let order = []; // places of the utterances that match, sorted
let page = 0;
let haystack = null; // what is searched, made at the first search

const scoreOf = (system, i) => {
  const [stream, metric] = byId("metric").value.split(" ");
  const found = current.streams[stream].systems[system];
  return found ? found.scores[metric][i] : null;
};

function matching(query) {
  const all = current.ids.map((_, i) => i);
  if (!query) return all;
  haystack ||= current.ids.map((id, i) => [id, ...Object.values(current.streams).flatMap(({ texts, systems }) =>
    [...texts.map((text) => text[i]), ...Object.values(systems).map(({ text }) => text[i])])].join("\n").toLowerCase());
  return all.filter((i) => haystack[i].includes(query.toLowerCase()));
}

function arrange() {
  const [stream, metric] = byId("metric").value.split(" ");
  const sign = LOWER_IS_BETTER.has(metric) ? -1 : 1, a = byId("a").value, b = byId("b").value;
  const length = (i) => current.streams[stream].texts[0][i].length;
  const value = {
    "id": () => 0,
    "a-b": (i) => sign * (scoreOf(a, i) - scoreOf(b, i)),
    "b-a": (i) => sign * (scoreOf(b, i) - scoreOf(a, i)),
    "apart": (i) => Math.abs(scoreOf(a, i) - scoreOf(b, i)),
    "worst": (i) => -sign * scoreOf(a, i),
    "best": (i) => sign * scoreOf(a, i),
    "long": length,
    "short": (i) => -length(i),
  }[byId("sort").value];
  const values = current.ids.map((_, i) => value(i));
  order = matching(byId("query").value.trim()).sort((x, y) => values[y] - values[x] || x - y);
  turnTo(0);
}

function turnTo(wanted) {
  const pages = Math.max(1, Math.ceil(order.length / PAGE));
  page = Math.max(0, Math.min(pages - 1, wanted));
  const begin = page * PAGE, shown = order.slice(begin, begin + PAGE);
  byId("list").replaceChildren(...shown.map(card));
  const range = shown.length ? `${begin + 1} to ${begin + shown.length} of ` : "";
  const selected = order.length === current.ids.length ? "" : ` (${current.ids.length} in all)`;
  byId("shown").textContent = `${range}${order.length.toLocaleString("en")} utterances${selected}`;
  const first = page === 0, last = page === pages - 1;
  byId("previous").disabled = first;
  byId("next").disabled = last;
  for (const button of document.querySelectorAll(".turn")) button.disabled = button.dataset.step === "-1" ? first : last;
  remember();
}

function card(i) {
  const about = element("div", { className: "about" }, element("a", { className: "id", href: caseAddress(i), title: "Show it alone", textContent: current.ids[i] }));
  if (current.seconds) about.append(element("small", { textContent: `${current.seconds[i].toFixed(1)} s` }));
  if (i < current.audio) about.append(player(i));
  const a = byId("a").value, b = byId("b").value;
  if (a !== b) {
    const difference = scoreOf(a, i) - scoreOf(b, i), text = `${difference > 0 ? "+" : ""}${difference.toFixed(1)}`;
    about.append(element("span", { className: "gap", textContent: `${a} − ${b}: ${text}` }));
  }
  return element("li", { tabIndex: -1 }, about, ...texts(i), ...pictures(i));
}

// The references and every system's output; `counted` tells the errors of each beside its scores.
function texts(i, counted = false) {
  const lines = [];
  let shownTexts = null;
  for (const [stream, group] of Object.entries(current.streams)) {
    lines.push(element("div", { className: "group", textContent: group.title }));
    // MT and ST have the same references, which are shown once.
    if (group.texts[0][i] !== shownTexts) lines.push(...group.texts.map((texts, n) => line(n ? `reference ${n + 1}` : "reference", [texts[i]], "", "line reference")));
    shownTexts = group.texts[0][i];
    for (const system of Object.keys(group.systems)) lines.push(systemLine(stream, group, system, i, counted));
  }
  return lines;
}

const pictures = (i) => Object.entries((current.attention || {})[current.ids[i]] || {}).map(([system, picture]) =>
  element("details", { className: "attention" }, element("summary", { textContent: `Attention of ${system}` }), element("img", { src: picture, alt: `Attention of ${system}` })));

function systemLine(stream, group, system, i, counted) {
  const { text, scores } = group.systems[system];
  const nodes = marked(group.texts[0][i], text[i], stream, group), errors = counted ? `${countErrors(nodes)}; ` : "";
  if (!text[i].trim()) nodes.unshift(element("span", { className: "silent", textContent: "(nothing) " }));
  const values = errors + Object.entries(scores).map(([metric, list]) => `${NAMES[metric]} ${list[i].toFixed(0)}`).join("  ");
  return line(system, nodes, values, "line", dot(system));
}

const line = (name, nodes, value, className, ...before) =>
  element("div", { className }, element("span", {}, ...before, name), element("span", { className: "text" }, ...nodes), element("span", { className: "value", textContent: value }));

// The clips come after this script; until they are read, the player waits for them.
function player(i) {
  const audio = element("audio", { controls: true, preload: "metadata", "aria-label": `Audio of ${current.ids[i]}` });
  const load = () => {
    const clip = byId(`clip-${report.sets.indexOf(current)}-${i}`);
    if (clip) audio.src = `data:audio/mpeg;base64,${clip.textContent}`;
    return clip;
  };
  if (!load()) document.addEventListener("DOMContentLoaded", load);
  return audio;
}

const FIELDS = ["query", "sort", "metric", "a", "b"];

let lastView = ""; // address of the list as it was shown last
let isOpen = false; // while the page opens, the address stays as it was given

// The address keeps what is shown, so that it can be sent to somebody or come back to.
function remember() {
  if (!isOpen) return;
  const state = new URLSearchParams({ set: current.name, page: page + 1 });
  for (const field of FIELDS) if (byId(field).value) state.set(field === "query" ? "q" : field, byId(field).value);
  lastView = `#${state}`;
  try {
    history.replaceState(null, "", lastView);
  } catch { /* some browsers refuse this for files: the page works without */ }
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const field of FIELDS) {
    const value = state.get(field === "query" ? "q" : field), box = byId(field);
    if (value !== null && (field === "query" || [...box.options].some((option) => option.value === value))) box.value = value;
  }
  return Number(state.get("page") || 1) - 1;
}

function offerSystems() {
  const [stream] = byId("metric").value.split(" "), systems = Object.keys(current.streams[stream].systems);
  const before = byId("b").options.length;
  for (const name of ["a", "b"]) fill(byId(name), systems.map((system) => [system, system]));
  if (!before || byId("a").value === byId("b").value) byId("b").selectedIndex = Math.min(1, systems.length - 1);
}
