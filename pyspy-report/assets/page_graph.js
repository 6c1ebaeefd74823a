// page_graph: what is chosen (threads, time) -> weights; weights -> a graph that can be drawn.

// Self weights of the nodes, of the chosen threads and time. threads: null, or by number 1 = chosen; from .. to - 1: buckets.
function selfWeights(threads, from, to) {
  if (!threads && from === 0 && to >= facts.buckets) return { n: nodes.selfN, ns: nodes.selfNs };
  const n = new Float64Array(nodes.n), ns = new Float64Array(nodes.n);
  for (let i = 0; i < cells.n; i++) {
    if ((threads && !threads[cells.thread[i]]) || cells.bucket[i] < from || cells.bucket[i] >= to) continue;
    n[cells.node[i]] += cells.samples[i];
    ns[cells.node[i]] += cells.ns[i];
  }
  return { n, ns };
}

// Parents stand before their children.
function sumUp(parent, self) {
  const total = self.slice();
  for (let i = total.length - 1; i > 0; i--) total[parent[i]] += total[i];
  return total;
}

// Children in the order in which they are drawn: names (frames are numbered by name), or the heaviest first. Frames that
// stand for many come last.
function walkOrder(tree, weight, byWeight) {
  const n = tree.parent.length, first = new Uint32Array(n + 1), children = new Uint32Array(n), order = new Uint32Array(n);
  for (let i = 1; i < n; i++) first[tree.parent[i] + 1]++;
  for (let i = 0; i < n; i++) first[i + 1] += first[i];
  const at = first.slice();
  for (let i = 1; i < n; i++) children[at[tree.parent[i]]++] = i;
  const compare = (a, b) => (byWeight && tree.frame[a] < MORE && tree.frame[b] < MORE && weight[b] - weight[a]) || tree.frame[a] - tree.frame[b] || a - b;
  for (let i = 0; i < n; i++) if (first[i + 1] - first[i] > 1) children.subarray(first[i], first[i + 1]).sort(compare);
  const next = first.slice();
  let k = 0;
  order[k++] = 0;
  for (let i = 0; i >= 0;) {
    if (next[i] < first[i + 1]) order[k++] = i = children[next[i]++];
    else i = tree.parent[i];
  }
  return order;
}

// tree: parent, frame, n, ns (self weights). The graph's nodes are in walk order; `id` is the tree's number of each,
// `place` the other way round. The weight of node i covers begin[i] .. begin[i] + total[i].
function makeGraph(tree, byWeight, isWalk) {
  const n = tree.parent.length, sums = { n: sumUp(tree.parent, tree.n), ns: sumUp(tree.parent, tree.ns) };
  const weight = BY_TIME ? sums.ns : sums.n;
  let graph;
  if (isWalk && !byWeight) {
    graph = { parent: tree.parent, frame: tree.frame, selfN: tree.n, selfNs: tree.ns, totalN: sums.n, totalNs: sums.ns, id: null, place: null };
  } else {
    const order = walkOrder(tree, weight, byWeight), place = new Uint32Array(n);
    for (let i = 0; i < n; i++) place[order[i]] = i;
    const pick = (from, Type) => {
      const to = new Type(n);
      for (let i = 0; i < n; i++) to[i] = from[order[i]];
      return to;
    };
    const parent = new Int32Array(n);
    for (let i = 0; i < n; i++) parent[i] = order[i] ? place[tree.parent[order[i]]] : -1;
    graph = { parent, frame: pick(tree.frame, Uint32Array), selfN: pick(tree.n, Float64Array), selfNs: pick(tree.ns, Float64Array),
      totalN: pick(sums.n, Float64Array), totalNs: pick(sums.ns, Float64Array), id: order, place };
  }
  graph.n = n;
  graph.total = BY_TIME ? graph.totalNs : graph.totalN;
  graph.self = BY_TIME ? graph.selfNs : graph.selfN;
  graph.depth = new Uint32Array(n);
  graph.end = new Uint32Array(n);
  graph.begin = new Float64Array(n);
  const filled = new Float64Array(n);
  let deepest = 0;
  for (let i = 1; i < n; i++) {
    const p = graph.parent[i];
    graph.depth[i] = graph.depth[p] + 1;
    graph.begin[i] = filled[i] = filled[p];
    filled[p] += graph.total[i];
    if (graph.total[i] > 0 && graph.depth[i] > deepest) deepest = graph.depth[i];
  }
  graph.rows = deepest + 1;
  for (let i = n - 1; i >= 0; i--) {
    if (graph.end[i] < i + 1) graph.end[i] = i + 1;
    const p = graph.parent[i];
    if (p >= 0 && graph.end[p] < graph.end[i]) graph.end[p] = graph.end[i];
  }
  return graph;
}

const idOf = (graph, i) => (graph.id ? graph.id[i] : i);
const placeOf = (graph, id) => (graph.place ? graph.place[id] : id);

// How the deepest row that has something to draw inside node z is: rows of the picture.
function rowsInside(graph, z) {
  let deepest = graph.depth[z];
  for (let i = z; i < graph.end[z]; i++) if (graph.total[i] > 0 && graph.depth[i] > deepest) deepest = graph.depth[i];
  return deepest + 1;
}

function* childrenOf(graph, i) {
  for (let c = i + 1; c < graph.end[i]; c = graph.end[c]) if (graph.total[c] > 0) yield c;
}
