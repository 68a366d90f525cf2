// The difference of two texts, word by word (character by character where a script has no spaces).
const UNSPACED = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}";
const WORDS = new RegExp(`[${UNSPACED}]|(?:(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}'’])+|[^\\s]`, "gu");

// [{ text, space, key }]: `space` whether a space comes before (also at the start: a deleted word may come first there).
function tokens(text, stream, rules) {
  const cut = (rules.kind ?? stream) === "asr" && rules.unit === "word" ? /\S+/gu : rules.unit === "character" ? /\S/gu : WORDS;
  return [...text.matchAll(cut)].map((match) => ({
    text: match[0],
    space: match.index === 0 ? rules.unit === "word" : /\s/u.test(text[match.index - 1]),
    key: (rules.kind ?? stream) === "asr" ? compared(match[0], rules) : match[0],
  }));
}

// A transcript is compared as it was scored: without case and punctuation if the recipe says so.
function compared(word, { lowercase, remove_punctuation: bare }) {
  const plain = bare ? word.replace(/(?<=[\p{L}\p{N}])['’](?=[\p{L}\p{N}])/gu, "\u0001").replace(/\p{P}/gu, "") : word;
  return lowercase ? plain.toLowerCase() : plain;
}

// Levenshtein alignment: [operation, reference token, hypothesis token] in order.
function align(reference, hypothesis) {
  const width = hypothesis.length + 1, cost = new Uint16Array((reference.length + 1) * width);
  for (let j = 1; j < width; j++) cost[j] = j;
  for (let i = 1; i <= reference.length; i++) {
    cost[i * width] = i;
    for (let j = 1; j < width; j++) {
      const diagonal = cost[(i - 1) * width + j - 1] + (reference[i - 1].key === hypothesis[j - 1].key ? 0 : 1);
      cost[i * width + j] = Math.min(diagonal, cost[(i - 1) * width + j] + 1, cost[i * width + j - 1] + 1);
    }
  }
  const steps = [];
  let i = reference.length, j = hypothesis.length;
  while (i || j) {
    const here = cost[i * width + j];
    const same = i && j && reference[i - 1].key === hypothesis[j - 1].key;
    if (i && j && here === cost[(i - 1) * width + j - 1] + (same ? 0 : 1)) {
      steps.push([same ? "equal" : "substitute", reference[--i], hypothesis[--j]]);
    } else if (i && here === cost[(i - 1) * width + j] + 1) steps.push(["delete", reference[--i], null]);
    else steps.push(["insert", null, hypothesis[--j]]);
  }
  return steps.reverse();
}

const MOST_LEFT_OUT = 4; // in a row that are shown; more would bury what was written
const MARKED = { insert: "ins", delete: "del", substitute: "mark" };

// The hypothesis with its errors marked, as a list of nodes.
function marked(referenceText, hypothesisText, stream, rules) {
  const nodes = [];
  for (const [operation, before, after] of align(tokens(referenceText, stream, rules), tokens(hypothesisText, stream, rules))) {
    const token = after || before;
    if (token.space && nodes.length) nodes.push(" ");
    if (operation === "equal" || !token.key) nodes.push(token.text);
    else {
      const node = element(MARKED[operation], { textContent: token.text });
      if (operation === "substitute") node.title = `reference: ${before.text}`;
      nodes.push(node);
    }
  }
  return folded(nodes);
}

// A long row of left-out words behind a button that says how many they are.
function folded(nodes) {
  const shown = [];
  for (let i = 0; i < nodes.length; ) {
    let end = i;
    while (end < nodes.length && (nodes[end] === " " || nodes[end].tagName === "DEL")) end++;
    const row = nodes.slice(i, end), left = row.filter((node) => node !== " ");
    if (left.length > MOST_LEFT_OUT) shown.push(row[0] === " " ? " " : "", foldButton(left), " ");
    shown.push(...(end > i ? row : [nodes[i]]));
    i = Math.max(end, i + 1);
  }
  return shown;
}

function foldButton(left) {
  const button = element("button", { type: "button", className: "fold", textContent: `${left.length} left out` });
  const set = (hide) => left.forEach((node) => node.classList.toggle("folded", hide));
  button.title = "show them";
  button.addEventListener("click", () => set(!left[0].classList.contains("folded")));
  set(true);
  return button;
}
