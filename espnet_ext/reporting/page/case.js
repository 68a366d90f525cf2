// One utterance alone, as a paper shows a case: what was said, and under each other what every system made of it.
const COUNTED = { MARK: "different", DEL: "left out", INS: "added" };
let shownCase = -1; // place of the utterance, or -1

const caseAddress = (i) => `#set=${encodeURIComponent(current.name)}&case=${encodeURIComponent(current.ids[i])}`;

function countErrors(nodes) {
  const counts = Object.entries(COUNTED).map(([tag, name]) => [nodes.filter((node) => node.tagName === tag).length, name]);
  return counts.filter(([count]) => count).map(([count, name]) => `${count} ${name}`).join(", ") || "no error";
}

// Show this utterance and nothing else, or, if there is none of this id, the page as it was.
function showCase(id) {
  shownCase = current.ids.indexOf(id);
  const isCase = shownCase >= 0;
  for (const section of document.querySelectorAll("main > section")) section.hidden = isCase !== (section.id === "case");
  document.body.classList.toggle("single", isCase);
  if (!isCase) return false;
  byId("case-close").href = lastView || `#set=${encodeURIComponent(current.name)}`;
  byId("case-title").textContent = `${current.ids[shownCase]} of ${current.name}`;
  const audio = shownCase < current.audio ? [player(shownCase)] : [];
  byId("case-body").replaceChildren(...audio, ...texts(shownCase, true), ...(chosen ? readWrite(chosen, shownCase) : []), ...pictures(shownCase));
  byId("case-previous").disabled = neighbour(-1) === undefined;
  byId("case-next").disabled = neighbour(1) === undefined;
  scrollTo(0, 0);
  return true;
}

// The utterance before or after this one among those that were searched for, as they were sorted.
function neighbour(step) {
  const at = order.indexOf(shownCase);
  return at < 0 ? undefined : order[at + step];
}

function turnCase(step) {
  const i = neighbour(step);
  if (i === undefined) return;
  location.hash = caseAddress(i);
  showCase(current.ids[i]); // at once: the next key may come before the browser tells of the new address
}

byId("case-previous").addEventListener("click", () => turnCase(-1));
byId("case-next").addEventListener("click", () => turnCase(1));
byId("case-print").addEventListener("click", () => print());
