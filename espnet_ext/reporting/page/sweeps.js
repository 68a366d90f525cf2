// Systems over the values of one option, such as hours of speech: a learning curve of each.
function drawSweeps() {
  for (const place of document.querySelectorAll("#sweeps, nav [href='#sweeps']")) place.classList.toggle("absent", !current.sweeps.length);
  if (current.sweeps.length) byId("sweep-charts").replaceChildren(...current.sweeps.map(sweepChart));
}

function sweepChart({ title, score, axis, log, ticks, curves, ...more }) {
  const place = (x) => (log ? Math.log10(x) : x), at = ({ x, label }) => ({ score: place(x), low: place(x), high: place(x), said: label });
  const xTicks = ticks.map(([x, text]) => [place(x), text]);
  const tell = (curve, point) => toldOfSweep(score, more, curve, point);
  return pointChart(title, curves, [axis, at], [score, (point) => point.told], { tell, xTicks });
}

// Which system and value, its score, how much better than the first system, and whom it beats for sure.
function toldOfSweep(score, { first, seeds, signature }, { system }, { label, told, gain, beats }) {
  const spread = seeds.length > 1 ? `mean and standard deviation of ${seeds.length} seeds` : "95 % interval";
  const against = system === first || gain === null ? "" : `${gain > 0 ? "+" : ""}${gain.toFixed(1)} % against ${first}. `;
  return [
    element("b", { textContent: `${system}, ${label}` }), ` ${score} ${told.score.toFixed(2)} ± ${told.ci.toFixed(2)} (${spread}). ${against}`,
    beats.length ? `Better than ${beats.join(", ")} (p < 0.05). ` : "", element("small", { textContent: signature }),
  ];
}
