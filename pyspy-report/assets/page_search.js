// page_search: which frames match, which nodes of the graph do, and how much that is together.
const isRegExp = (text) => /^\/.+\/$/.test(text);

// text -> a test of frames; null when it is empty, a string when it is wrong. `name (file:line)` of a frame or of its
// function holds the text, in either case; /regexp/ likewise; file.py:42 is that line (of a function: where it begins).
function frameTest(text) {
  if (!text) return null;
  const whole = (f) => frameText(f) + "\n" + functionText(frames.func[f]);
  if (isRegExp(text)) {
    let re;
    try {
      re = new RegExp(text.slice(1, -1), "i");
    } catch (e) {
      return "not a regular expression";
    }
    return (f) => re.test(frameText(f)) || re.test(functionText(frames.func[f]));
  }
  const place = text.match(/^([^\s()]+\.\w+):(\d+)$/);
  if (place) {
    const file = place[1].toLowerCase(), line = Number(place[2]);
    return (f) => {
      const name = strings[frames.file[f]].toLowerCase();
      const isFile = name === file || name.endsWith("/" + file);
      return isFile && (frames.line[f] === line || functions.line[frames.func[f]] === line);
    };
  }
  const low = text.toLowerCase();
  return (f) => whole(f).toLowerCase().includes(low);
}

const SEARCH_MS = 3000; // a regular expression may take for ever: it is left when it took this long

// -> { frames: by frame 1 = a match, words: what to say instead of a share } or null
function searchFrames(text) {
  const test = frameTest(text);
  if (!test) return null;
  const hits = new Uint8Array(frames.n + 3);
  if (typeof test === "string") return { frames: hits, words: test };
  const until = performance.now() + SEARCH_MS;
  for (let f = 0; f < frames.n; f++) {
    if (test(f)) hits[f] = 1;
    if (!(f % 64) && performance.now() > until) return { frames: hits, words: "given up: too slow" };
  }
  return { frames: hits, words: "" };
}

// The matching nodes, the heaviest first.
function searchNodes(graph, hits) {
  const found = [];
  for (let i = 1; i < graph.n; i++) if (hits[graph.frame[i]] && graph.total[i] > 0) found.push(i);
  return found.sort((a, b) => graph.total[b] - graph.total[a] || a - b);
}

// A frame's callees are part of it: only the outermost match of each stack counts. Of node z and what is below it.
function matchedWeight(graph, hits, z) {
  let sum = 0;
  for (let a = graph.parent[z]; a >= 0; a = graph.parent[a]) if (hits[graph.frame[a]]) return graph.total[z];
  for (let i = z; i < graph.end[z];) {
    if (hits[graph.frame[i]]) {
      sum += graph.total[i];
      i = graph.end[i];
    } else {
      i++;
    }
  }
  return sum;
}
