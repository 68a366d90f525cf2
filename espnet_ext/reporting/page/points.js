// A chart of points with intervals, joined to curves; pointing at one tells what it is.
const curveColour = (curve) => {
  const place = report.systems.indexOf(curve.system);
  return place < 0 ? "var(--c11)" : `var(--c${place % 12})`;
};

function range(rows) {
  const low = Math.min(...rows.map((row) => row.low)), high = Math.max(...rows.map((row) => row.high)), room = (high - low || 1) * 0.04;
  return [low - room, high + room];
}

// x and y: [name, function that gives { score, low, high, and how x is said } of a point]; `tell` gives what is said of a point that is pointed at,
// `click` is done with one that is clicked; `named`: values stand beside their points; `xTicks`: [[x, text], ...].
function pointChart(title, curves, [xName, xOf], [yName, yOf], { tell, click = null, named = false, xTicks = null }) {
  const shown = curves.filter((curve) => !hidden.has(curve.system))
    .map((curve) => ({ curve, points: curve.points.filter((point) => xOf(point) && yOf(point)) })).filter(({ points }) => points.length);
  const figure = element("figure", {}, element("figcaption", { textContent: title })), points = shown.flatMap(({ points }) => points);
  if (!points.length) return figure;
  const { width, height, left, right, top, bottom } = CHART, [x0, x1] = range(points.map(xOf)), [y0, y1] = range(points.map(yOf));
  const toX = (x) => left + (width - left - right) * (x - x0) / (x1 - x0), toY = (y) => height - bottom - (height - top - bottom) * (y - y0) / (y1 - y0);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": title });
  for (const y of ticks(y0, y1, 4)) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: toY(y), y2: toY(y) }));
    svg.append(drawn("text", { x: left - 6, y: toY(y) + 4, "text-anchor": "end" }, short(y)));
  }
  for (const [x, text] of xTicks || ticks(x0, x1, 6).map((x) => [x, short(x)])) {
    svg.append(drawn("text", { x: toX(x), y: height - bottom + 15, "text-anchor": "middle" }, text));
  }
  svg.append(drawn("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xName));
  const output = element("output", { className: "reading" });
  for (const { curve, points } of shown) {
    const ordered = [...points].sort((a, b) => xOf(a).score - xOf(b).score);
    const path = ordered.map((point, i) => `${i ? "L" : "M"}${toX(xOf(point).score).toFixed(1)} ${toY(yOf(point).score).toFixed(1)}`).join("");
    const joined = drawn("path", { class: "series", d: path });
    joined.style.stroke = curveColour(curve);
    svg.append(joined, ...ordered.flatMap((point) => {
      const x = toX(xOf(point).score), y = toY(yOf(point).score), { low, high } = yOf(point), wide = xOf(point);
      const bars = drawn("path", { class: "interval", d: `M${x} ${toY(low)}V${toY(high)}M${toX(wide.low)} ${y}H${toX(wide.high)}` });
      bars.style.stroke = curveColour(curve);
      const mark = drawn("circle", { class: "point", cx: x, cy: y, r: 4.5, tabindex: 0, role: click ? "button" : "img", "data-point": point.name });
      mark.style.fill = curveColour(curve);
      mark.setAttribute("aria-label", `${point.name}: ${xName} ${wide.said || short(wide.score)}, ${yName} ${short(yOf(point).score)}`);
      for (const event of ["pointerenter", "focus"]) mark.addEventListener(event, () => output.replaceChildren(...tell(curve, point)));
      if (click) makeClickable(mark, () => click(point));
      return named ? [bars, mark, drawn("text", { x: x + 7, y: y - 6 }, point.value)] : [bars, mark];
    }));
  }
  figure.append(svg, output);
  return figure;
}

function makeClickable(mark, act) {
  mark.addEventListener("click", act);
  mark.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  });
}
