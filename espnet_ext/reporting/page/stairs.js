// How a sentence was written: to the right for each word that is read, down for each that is written; and the words.
let sentence = 0; // place of the utterance that is shown

const unitsOf = (text, unit) => (unit === "char" ? [...text.replace(/\s/gu, "")] : text.split(/\s+/u).filter(Boolean));
const sourceOf = (stream, i) => unitsOf(current.curves[stream].sources[i], current.curves[stream].source_unit);

function drawStairs() {
  if (!chosen) return;
  sentence = Math.max(0, Math.min(current.ids.length - 1, sentence));
  byId("stairs-sentence").value = sentence + 1;
  byId("stairs-sentence").max = current.ids.length;
  byId("stairs-id").textContent = current.ids[sentence];
  byId("stairs-id").href = caseAddress(sentence);
  byId("stairs").replaceChildren(...readWrite(chosen, sentence));
}

function readWrite({ stream, lines }, i) {
  const reference = current.streams[stream].texts[0][i];
  return [stairPicture(stream, lines, i), wordTable(stream, lines, i, reference)];
}

function stairPicture(stream, lines, i) {
  const source = sourceOf(stream, i), { unit } = current.curves[stream], first = unitsOf(lines[0].point.text[i], unit);
  const seen = Math.max(source.length, ...lines.flatMap(({ point }) => point.read[i])), most = Math.max(1, ...lines.map(({ point }) => point.read[i].length));
  const step = 26, row = 15, left = 8, top = 6, width = left + seen * step + 130, height = top + most * row + 92;
  const svg = drawn("svg", { class: "stairs", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": lines.map(({ point }) => `${point.name}: words read before each word: ${point.read[i].join(" ")}`).join(". ") });
  svg.style.maxWidth = `${width * 1.3}px`;
  for (let x = 0; x <= seen; x++) svg.append(drawn("line", { class: "grid", x1: left + x * step, x2: left + x * step, y1: top, y2: top + most * row }));
  for (const [x, word] of source.entries()) {
    const px = left + (x + 0.5) * step, py = top + most * row + 10;
    svg.append(drawn("text", { x: px, y: py, transform: `rotate(45 ${px} ${py})` }, word));
  }
  // the chosen one last, so that it lies on top
  for (const [n, { curve, point }] of [...lines.entries()].reverse()) {
    const path = drawn("path", { class: n ? "stair" : "stair first", d: `M${left} ${top}${point.read[i].map((read) => `H${left + read * step}v${row}`).join("")}` });
    path.style.stroke = curveColour(curve);
    path.append(drawn("title", {}, point.name));
    svg.append(path);
  }
  for (const [y, word] of first.entries()) svg.append(drawn("text", { class: "name", x: left + lines[0].point.read[i][y] * step + 5, y: top + (y + 1) * row - 3 }, word));
  return svg;
}

// A column for each source word, and in it what each policy wrote when it had read just that far.
function wordTable(stream, lines, i, reference) {
  const source = sourceOf(stream, i), { unit } = current.curves[stream], join = unit === "char" ? "" : " ";
  const head = element("tr", {}, element("th", {}, ""), ...source.map((word) => element("th", { scope: "col", textContent: word })));
  const rows = lines.map(({ curve, point }, n) => {
    const words = unitsOf(point.text[i], unit), mark = element("span", { className: "dot" });
    mark.style.background = curveColour(curve);
    const cells = source.map((_, x) => element("td", { textContent: words.filter((_, y) => point.read[i][y] === x + 1).join(join) }));
    return element("tr", { className: n ? "" : "first" }, element("th", { scope: "row" }, mark, ` ${point.name}`), ...cells);
  });
  const table = element("table", { className: "words" }, element("thead", {}, head), element("tbody", {}, ...rows));
  return element("div", { className: "scroll" }, table, element("p", { className: "note", textContent: `Reference: ${reference}` }));
}

function turnSentence(to) {
  sentence = to;
  drawStairs();
}

byId("stairs-sentence").addEventListener("change", () => turnSentence(Number(byId("stairs-sentence").value) - 1));
byId("stairs-previous").addEventListener("click", () => turnSentence(sentence - 1));
byId("stairs-next").addEventListener("click", () => turnSentence(sentence + 1));
