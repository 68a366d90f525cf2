// Quality over lag: a chart of points with intervals, joined to curves; the chosen point is shown sentence by sentence.
const ASIDE = ["step", "reuse"]; // the effect of these options is shown by itself
const LAGS = ["al", "laal", "dal", "subword_al_hyp", "cw", "subword_cw", "ap", "atd"];
let chosen = null; // the point that was clicked, and of each other curve the one that lags most like it

const curvesOf = (stream) => current.curves[stream].curves;
const lagName = () => byId("lag").value || "al";

function drawLatency() {
  const streams = Object.keys(current.curves);
  for (const place of document.querySelectorAll("#latency, nav [href='#latency']")) place.classList.toggle("absent", !streams.length);
  if (!streams.length) return;
  fill(byId("curve-stream"), streams.map((stream) => [stream, current.streams[stream].title]));
  byId("curve-stream").parentNode.hidden = streams.length < 2;
  const stream = byId("curve-stream").value, { bound, signatures } = current.curves[stream];
  fill(byId("lag"), LAGS.filter((name) => name in signatures).map((name) => [name, NAMES[name]]));
  const main = curvesOf(stream).filter((curve) => !ASIDE.includes(curve.key)), lag = lagName();
  const whole = bound ? `, per cent of ${bound}` : "";
  const score = (name) => (point) => point.scores[name], share = (name) => (point) => point.share[name];
  const use = { tell: toldOfLag, click: (point) => choose(point, true) };
  const charts = [
    pointChart(`BLEU over ${NAMES[lag]}`, main, [NAMES[lag], score(lag)], ["BLEU", score("bleu")], use),
    pointChart("BLEU over consecutive wait", main, [NAMES.cw, score("cw")], ["BLEU", score("bleu")], use),
    pointChart(`Length ratio over ${NAMES[lag]}`, main, [NAMES[lag], score(lag)], ["length ratio", score("length_ratio")], use),
  ];
  if (bound) charts.push(pointChart(`BLEU over AL${whole}`, main, ["AL, %", share("al")], ["BLEU, %", share("bleu")], use));
  for (const key of ASIDE) {
    const curves = curvesOf(stream).filter((curve) => curve.key === key);
    if (curves.length) charts.push(pointChart(`Effect of ${key}`, curves, [NAMES[lag], score(lag)], ["BLEU", score("bleu")], { ...use, named: true }));
  }
  byId("latency-charts").replaceChildren(...charts, element("div", { id: "initial" }));
  choose(chosen && allPoints(stream).find((point) => point.name === chosen.point.name) || middle(main));
}

const allPoints = (stream) => curvesOf(stream).flatMap((curve) => curve.points);

// Where the page begins: in the middle of the longest curve.
function middle(curves) {
  const longest = curves.reduce((best, curve) => (curve.points.length > best.points.length ? curve : best), curves[0]);
  return longest.points[Math.floor(longest.points.length / 2)];
}

// What a point is: policy, figures with intervals, its distance from the others, and how the figures are defined.
function toldOfLag(curve, point) {
  const { signatures } = current.curves[byId("curve-stream").value], lag = lagName();
  const value = (name) => `${NAMES[name]} ${point.scores[name].score.toFixed(2)} ± ${point.scores[name].ci.toFixed(2)}`;
  const compared = point.against[lag] || point.against.al;
  const ahead = Object.entries(compared.bleu).map(([name, { difference, p }]) => `${difference > 0 ? "+" : ""}${difference.toFixed(1)} ${name} (p ${p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`})`);
  const lagUsed = point.against[lag] ? lag : "al";
  return [
    element("b", { textContent: point.name }), ` ${[...new Set(["bleu", lag, "cw", "length_ratio"])].map(value).join(", ")}. `,
    ahead.length ? `BLEU at equal ${NAMES[lagUsed]} against: ${ahead.join(", ")}. ` : "",
    element("small", { textContent: `BLEU|${signatures.bleu} ${NAMES[lag]}|${signatures[lag]}` }),
  ];
}

// Choose a point that is to be seen sentence by sentence, and of each other curve the point with the nearest lag.
function choose(point, jump = false) {
  const stream = byId("curve-stream").value, lag = lagName(), at = (one) => Math.abs(one.scores[lag].score - point.scores[lag].score);
  const own = curvesOf(stream).find((curve) => curve.points.includes(point));
  const others = curvesOf(stream).filter((curve) => curve !== own && !ASIDE.includes(curve.key))
    .map((curve) => ({ curve, point: curve.points.reduce((best, one) => (at(one) < at(best) ? one : best)) }));
  chosen = { stream, point, lines: [{ curve: own, point }, ...others] };
  for (const mark of document.querySelectorAll("#latency .point")) mark.classList.toggle("chosen", mark.dataset.point === point.name);
  const series = chosen.lines.map(({ curve, point: { name, read } }) => {
    const delays = read.map(([first], i) => first ?? sourceOf(stream, i).length);
    return { name, system: curve.system, points: wholeShares(delays) };
  });
  byId("initial").replaceChildren(lineChart("Share of sentences by initial delay", "read before the first word", series, { fromZero: true, percent: true, whole: true }));
  drawStairs();
  if (jump) byId("stairs").scrollIntoView({ block: "nearest" });
}

function wholeShares(values) {
  const counts = [];
  for (const value of values) counts[value] = (counts[value] || 0) + 1;
  return Array.from(counts, (count, value) => [value, (count || 0) / values.length]).slice(1);
}

for (const id of ["lag", "curve-stream"]) byId(id).addEventListener("change", drawLatency);
