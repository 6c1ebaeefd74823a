// page_state: what is chosen, and how it stands in the address: a link shows what its sender saw, Back undoes.
//
// Whoever makes a link makes up what stands there: everything is checked, and a regular expression is only put into its box.
const BEGIN = { view: facts.view, order: facts.order, zoom: "", q: "", process: "", thread: "", from: 0, to: facts.buckets, by: "function", sort: "self", only: "", theme: "" };
const VIEWS = ["icicle", "flame", "inverted"], THEMES = ["", "light", "dark"];

function stateToAddress(state) {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    if (value === BEGIN[key]) continue;
    if (key === "from" || key === "to") words.set(key, String(value * facts.width));
    else words.set(key, String(value));
  }
  return words.toString();
}

// -> { state, asked: a regular expression that waits for Enter }
function stateFromAddress(hash) {
  const state = { ...BEGIN };
  let words, asked = "";
  try {
    words = new URLSearchParams(hash.replace(/^#/, ""));
  } catch (e) {
    return { state, asked };
  }
  const oneOf = (key, list) => {
    if (words.has(key) && list.includes(words.get(key))) state[key] = words.get(key);
  };
  oneOf("view", VIEWS);
  oneOf("order", ["name", "weight"]);
  oneOf("by", Object.keys(KINDS));
  oneOf("sort", Object.keys(SORTS));
  oneOf("theme", THEMES);
  oneOf("process", facts.processes.map((p) => String(p[0])));
  oneOf("thread", facts.threads.map((t, i) => String(i)));
  const zoom = words.get("zoom") || "";
  if (/^\d{1,10}(\.\d{1,10}){0,300}$/.test(zoom)) state.zoom = zoom;
  const only = (words.get("only") || "").split(".").filter((o) => /^\d$/.test(o) && Number(o) < facts.palette.length);
  state.only = [...new Set(only)].sort().join(".");
  for (const key of ["from", "to"]) {
    const bucket = Math.round(Number(words.get(key)) / facts.width);
    if (words.get(key) && bucket >= 0 && bucket <= facts.buckets) state[key] = bucket;
  }
  if (state.from >= state.to) [state.from, state.to] = [0, facts.buckets];
  const q = (words.get("q") || "").slice(0, 2000);
  if (isRegExp(q)) asked = q;
  else state.q = q;
  return { state, asked };
}
