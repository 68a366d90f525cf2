// Everything above the utterances: matrix, curves, bars and distributions.
function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function drawMatrix() {
  const [stream, metric] = byId("matrix-metric").value.split(" ");
  const { systems, p } = current.compare[stream][metric], names = Object.keys(systems);
  const head = element("tr", {}, element("th", { textContent: `${stream.toUpperCase()} ${NAMES[metric]}` }),
    ...names.map((name) => element("th", { scope: "col", textContent: name })));
  const rows = names.map((row) => element("tr", {},
    element("th", { scope: "row" }, `${row} `, element("span", { className: "ci", textContent: figure(systems[row].score) })),
    ...names.map((column) => matrixCell(systems[row].score - systems[column].score, row === column ? null : p[row][column], metric))));
  byId("matrix").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}

// As in the tables: two decimals below 1, so that a small difference is not 0.0.
const figure = (value) => value.toFixed(value === 0 || Math.abs(value) >= 1 ? 1 : 2);

function matrixCell(difference, p, metric) {
  if (p === null) return element("td", { textContent: "·" });
  const better = LOWER_IS_BETTER.has(metric) ? difference < 0 : difference > 0;
  const times = p < 0.01 ? 2 : p < 0.05 ? 1 : 0;
  const text = `${difference > 0 ? "+" : ""}${figure(difference)} ${(better ? "▲" : "▼").repeat(difference ? times : 0)}`;
  const cell = element("td", {}, text, element("small", { textContent: `p = ${p.toFixed(3)}` }));
  if (times && difference) cell.className = better ? "better" : "worse";
  return cell;
}

// Curves that a researcher looks at first; the others are a click away.
const isMain = (key) => /^(loss|acc|wer|cer|bleu)/.test(key) && !/^loss_/.test(key) || key === "learning rate";

function drawCurves() {
  const charts = new Map(); // key -> series
  const add = (key, system, dashed, x, y) => {
    if (!charts.has(key)) charts.set(key, new Map());
    const name = dashed ? `${system} (training)` : system;
    if (!charts.get(key).has(name)) charts.get(key).set(name, { name, system, dashed, points: [] });
    charts.get(key).get(name).points.push([x, y]);
  };
  for (const [system, epochs] of Object.entries(report.history)) {
    for (const { epoch, train = {}, valid = {}, lr } of epochs) {
      for (const [key, value] of Object.entries(valid)) if (value !== null) add(key, system, false, epoch, value);
      for (const [key, value] of Object.entries(train)) if (value !== null) add(key, system, true, epoch, value);
      if (typeof lr === "number") add("learning rate", system, false, epoch, lr);
    }
  }
  const order = ["loss", "acc"], rank = (key) => (order.indexOf(key) + 1 || (key === "learning rate" ? 99 : 50));
  const keys = [...charts.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const draw = (key) => lineChart(key, "epoch", [...charts.get(key).values()], { cut: true, whole: true });
  byId("curves").replaceChildren(...keys.filter(isMain).map(draw));
  const more = keys.filter((key) => !isMain(key));
  byId("more-curves").hidden = !more.length;
  byId("more-curves").lastElementChild.replaceChildren(...more.map(draw));
  if (!keys.length) byId("curves").append(element("p", { className: "note", textContent: "No system has a training history." }));
}

function drawBars() {
  const of = (key) => Object.entries(current.speed).map(([system, row]) => [system, row[key]]);
  byId("bars").replaceChildren(
    barChart("Parameters", of("parameters")),
    barChart("Training time", of("training_seconds"), duration),
    barChart("Decoding, utterances per second", of("utterances_per_second")),
    barChart("Decoding, seconds per second of audio", of("real_time_factor")),
  );
}

function drawDistributions() {
  const [stream, metric] = byId("distribution-metric").value.split(" ");
  const { texts, systems, unit } = current.streams[stream];
  const size = (text) => (unit === "character" ? text.replace(/\s/g, "").length : text.split(/\s+/).filter(Boolean).length);
  const lengths = texts[0].map(size), series = { scores: [], ratios: [], bylength: [] };
  const edges = lengthBins(lengths);
  for (const [system, { text, scores }] of Object.entries(systems)) {
    const name = system, values = scores[metric].map((score) => Math.min(100, score));
    series.scores.push({ name, system, points: histogram(values, 0, 100, 20) });
    const ratios = text.map((hypothesis, i) => Math.min(2, size(hypothesis) / Math.max(1, lengths[i])));
    series.ratios.push({ name, system, points: histogram(ratios, 0, 2.0001, 20) });
    const points = edges.map(([low, high]) => {
      const within = scores[metric].filter((_, i) => lengths[i] >= low && lengths[i] < high);
      return [(low + high - 1) / 2, within.reduce((sum, score) => sum + score, 0) / within.length];
    });
    series.bylength.push({ name, system, points });
  }
  const unitName = `${unit}s in the reference`;
  byId("histograms").replaceChildren(
    lineChart(`Share of utterances by ${NAMES[metric]}`, `${NAMES[metric]} of an utterance`, series.scores, { fromZero: true, percent: true }),
    lineChart("Share of utterances by length of output", "length of output / length of reference", series.ratios, { fromZero: true, percent: true }),
    lineChart(`Mean ${NAMES[metric]} by length`, unitName, series.bylength, { fromZero: true }),
  );
}

// Up to eight ranges of length with about as many utterances in each.
function lengthBins(lengths) {
  const sorted = [...lengths].sort((a, b) => a - b), edges = [sorted[0]];
  for (let i = 1; i < 8; i++) {
    const edge = sorted[Math.floor(i * sorted.length / 8)];
    if (edge > edges[edges.length - 1]) edges.push(edge);
  }
  edges.push(sorted[sorted.length - 1] + 1);
  return edges.slice(1).map((high, i) => [edges[i], high]);
}

function legendButton(system) {
  const button = element("button", { type: "button", "aria-pressed": "true" }, dot(system), system);
  button.dataset.system = system;
  button.addEventListener("click", () => {
    if (!hidden.delete(system)) hidden.add(system);
    for (const one of document.querySelectorAll(".legend button")) one.setAttribute("aria-pressed", String(!hidden.has(one.dataset.system)));
    drawCurves();
    drawBars();
    drawDistributions();
    drawLatency();
    drawSweeps();
  });
  return button;
}

function drawLegends() {
  const trained = report.systems.filter((system) => report.history[system].length); // the others have no curves
  const curves = report.sets.flatMap((set) => Object.values(set.curves)).flatMap((found) => found.curves);
  const named = (found) => [...new Set(found.map((curve) => curve.system))];
  const swept = report.sets.flatMap((set) => set.sweeps).flatMap((found) => found.curves);
  const shown = { trained, curves: named(curves), sweeps: named(swept) };
  for (const place of document.querySelectorAll(".legend")) {
    place.replaceChildren(...(shown[place.dataset.of] || report.systems).map(legendButton));
  }
}
