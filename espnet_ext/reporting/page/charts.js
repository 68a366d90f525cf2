// Line and bar charts in SVG. A line chart is read by pointing at it or with the arrow keys.
const CHART = { width: 380, height: 220, left: 44, right: 10, top: 8, bottom: 34 };

function niceStep(span, count) {
  const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

// With `whole`, such as for epochs, whole numbers alone.
function ticks(low, high, count, whole = false) {
  const step = Math.max(niceStep(high - low || 1, count), whole ? 1 : 0), found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

// With `cut`, the first epochs do not flatten the rest: the axis ends at 4 x the third quartile of the values.
function valueRange(series, fromZero, cut) {
  const values = series.flatMap((line) => line.points.map(([, y]) => y)).sort((a, b) => a - b);
  let low = values[0], high = values[values.length - 1];
  if (fromZero) low = Math.min(0, low);
  const quartile = values[Math.floor(values.length * 0.75)];
  if (cut && low >= 0 && quartile > 0) high = Math.min(high, 4 * quartile);
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

// series: [{ name, system, points: [[x, y], ...], dashed }]
function lineChart(title, xName, series, { fromZero = false, cut = false, percent = false, whole = false } = {}) {
  const shown = series.filter((line) => !hidden.has(line.system) && line.points.length);
  const figure = element("figure", {}, element("figcaption", { textContent: title }));
  if (!shown.length) return element("figure", {}, figure.firstChild, element("p", { className: "note", textContent: "Nothing to show." }));
  const { width, height, left, right, top, bottom } = CHART;
  const xs = [...new Set(shown.flatMap((line) => line.points.map(([x]) => x)))].sort((a, b) => a - b);
  const [low, high] = valueRange(shown, fromZero, cut), first = xs[0], last = xs[xs.length - 1];
  const toX = (x) => left + (width - left - right) * (last > first ? (x - first) / (last - first) : 0.5);
  const toY = (y) => height - bottom - (height - top - bottom) * (Math.max(low, Math.min(high, y)) - low) / (high - low);
  const label = (y) => (percent ? `${short(100 * y)} %` : short(y));
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0, "aria-label": summary(title, shown, label) });
  for (const y of ticks(low, high, 4)) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: toY(y), y2: toY(y) }));
    svg.append(drawn("text", { x: left - 6, y: toY(y) + 4, "text-anchor": "end" }, label(y)));
  }
  for (const x of ticks(first, last, 6, whole)) {
    svg.append(drawn("text", { x: toX(x), y: height - bottom + 15, "text-anchor": "middle" }, short(x)));
  }
  svg.append(drawn("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xName));
  for (const line of shown) {
    const path = line.points.map(([x, y], i) => `${i ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join("");
    const made = drawn("path", { class: line.dashed ? "series dashed" : "series", d: path });
    made.style.stroke = colour(line.system);
    svg.append(made);
    if (line.points.length > 1) continue;
    const point = drawn("circle", { cx: toX(line.points[0][0]), cy: toY(line.points[0][1]), r: 3 }); // no line yet
    point.style.fill = colour(line.system);
    svg.append(point);
  }
  figure.append(svg, readable(svg, xs, toX, shown, xName, label));
  return figure;
}

const summary = (title, series, label) =>
  `${title}. Last values: ${series.map((line) => `${line.name} ${label(line.points[line.points.length - 1][1])}`).join(", ")}`;

// The line of text under a chart that tells the values at the pointer.
function readable(svg, xs, toX, series, xName, label) {
  const output = element("output", { className: "reading" });
  const cursor = drawn("line", { class: "cursor", y1: CHART.top, y2: CHART.height - CHART.bottom, visibility: "hidden" });
  svg.append(cursor);
  let place = xs.length;
  const show = (index) => {
    place = Math.max(0, Math.min(xs.length - 1, index));
    const x = xs[place];
    cursor.setAttribute("x1", toX(x));
    cursor.setAttribute("x2", toX(x));
    cursor.setAttribute("visibility", "visible");
    const values = series.map((line) => [line, line.points.find((point) => point[0] === x)]).filter(([, point]) => point);
    output.textContent = `${xName} ${short(x)}: ` + values.map(([line, point]) => `${line.name} ${label(point[1])}`).join(", ");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), at = (event.clientX - box.left) * CHART.width / box.width;
    show(xs.reduce((best, x, i) => (Math.abs(toX(x) - at) < Math.abs(toX(xs[best]) - at) ? i : best), 0));
  });
  svg.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    show(place + (event.key === "ArrowLeft" ? -1 : 1));
    event.preventDefault();
  });
  return output;
}

// rows: [[system, value]]; missing values are left out.
function barChart(title, rows, label = short) {
  const known = rows.filter(([system, value]) => value !== null && value !== undefined && !hidden.has(system));
  const figure = element("figure", {}, element("figcaption", { textContent: title }));
  const most = Math.max(...known.map(([, value]) => value), 1e-9), room = 115;
  const words = known.map(([system, value]) => `${system} ${label(value)}`).join(", ");
  const svg = drawn("svg", { viewBox: `0 0 300 ${Math.max(1, known.length) * 26}`, role: "img", "aria-label": `${title}: ${words}` });
  known.forEach(([system, value], i) => {
    const bar = drawn("rect", { x: 110, y: i * 26 + 4, height: 17, rx: 3, width: Math.max(2, room * value / most) });
    bar.style.fill = colour(system);
    const name = system.length > 16 ? `${system.slice(0, 15)}…` : system;
    svg.append(drawn("text", { class: "name", x: 102, y: i * 26 + 17, "text-anchor": "end" }, name), bar);
    svg.append(drawn("text", { x: 118 + room * value / most, y: i * 26 + 17 }, label(value)));
  });
  figure.append(svg);
  return figure;
}

// Share of the values in each bin, drawn at the middle of the bin.
function histogram(values, low, high, bins) {
  const counts = new Array(bins).fill(0);
  for (const value of values) counts[Math.max(0, Math.min(bins - 1, Math.floor((value - low) / (high - low) * bins)))]++;
  return counts.map((count, i) => [low + (i + 0.5) * (high - low) / bins, count / Math.max(1, values.length)]);
}
