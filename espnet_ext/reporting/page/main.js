// Starts the page and connects its controls.
function showSet(name) {
  current = report.sets.find((set) => set.name === name) || report.sets[0];
  haystack = null;
  byId("set").value = current.name;
  for (const part of document.querySelectorAll(".for-set")) part.hidden = part.dataset.set && part.dataset.set !== current.name;
  const sentence = ["wer", "cer", "bleu", "chrf"];
  fill(byId("matrix-metric"), streamMetrics());
  for (const id of ["distribution-metric", "metric"]) {
    const isFirst = !byId(id).options.length;
    fill(byId(id), streamMetrics(sentence).filter(([key]) => key.split(" ")[1] in Object.values(current.streams[key.split(" ")[0]].systems)[0].scores));
    if (isFirst && [...byId(id).options].some((option) => option.value === "st bleu")) byId(id).value = "st bleu";
  }
  if (streamMetrics().some(([key]) => key === "st bleu")) byId("matrix-metric").value = "st bleu";
  offerSystems();
  drawMatrix();
  drawBars();
  drawDistributions();
  drawLatency();
  drawSweeps();
}

function focusCard(step) {
  const cards = [...byId("list").children], at = cards.findIndex((one) => one.contains(document.activeElement));
  const wanted = cards[Math.max(0, Math.min(cards.length - 1, at + step))];
  if (wanted) wanted.focus();
}

function playFocused() {
  const audio = (shownCase < 0 ? document.activeElement.closest("#list > li") : byId("case"))?.querySelector("audio");
  if (!audio) return;
  if (audio.paused) audio.play();
  else audio.pause();
}

const KEYS = {
  "/": () => byId("query").focus(),
  "j": () => focusCard(1),
  "k": () => focusCard(-1),
  "p": playFocused,
  "[": () => turnTo(page - 1),
  "]": () => turnTo(page + 1),
};
const CASE_KEYS = { "p": playFocused, "[": () => turnCase(-1), "]": () => turnCase(1) };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const keys = shownCase < 0 ? KEYS : CASE_KEYS;
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
// Only one recording sounds at a time.
document.addEventListener("play", (event) => {
  for (const audio of document.querySelectorAll("audio")) if (audio !== event.target) audio.pause();
}, true);

let typing = 0;
byId("query").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(arrange, 150);
});
byId("browser").addEventListener("submit", (event) => event.preventDefault());
byId("metric").addEventListener("change", offerSystems);
for (const name of ["sort", "metric", "a", "b"]) byId(name).addEventListener("change", arrange);
byId("previous").addEventListener("click", () => turnTo(page - 1));
byId("next").addEventListener("click", () => turnTo(page + 1));
for (const button of document.querySelectorAll(".turn")) {
  button.addEventListener("click", () => {
    turnTo(page + Number(button.dataset.step));
    byId("utterances").scrollIntoView();
  });
}
byId("matrix-metric").addEventListener("change", drawMatrix);
byId("distribution-metric").addEventListener("change", drawDistributions);
byId("set").addEventListener("change", () => {
  showSet(byId("set").value);
  arrange();
});
byId("theme").addEventListener("click", () => {
  const root = document.documentElement, isDark = getComputedStyle(root).colorScheme === "dark" ||
    (getComputedStyle(root).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.style.colorScheme = isDark ? "light" : "dark";
});

function openAddress() {
  const state = new URLSearchParams(location.hash.slice(1));
  const isOther = state.has("set") && state.get("set") !== current.name;
  if (isOther) showSet(state.get("set"));
  // turnCase was quicker than the browser; what it shows may be playing already
  const isShown = !isOther && shownCase >= 0 && current.ids[shownCase] === state.get("case");
  if (isShown || showCase(state.get("case"))) return;
  if (!state.has("set") && !state.has("q")) { // an address of a section, which may have been hidden until now
    byId(location.hash.slice(1))?.scrollIntoView();
    return;
  }
  const wanted = recall();
  offerSystems();
  recall();
  arrange();
  turnTo(wanted);
}
window.addEventListener("hashchange", openAddress);

drawLegends();
showSet(report.sets[0].name);
drawCurves();
arrange();
openAddress();
isOpen = true;
