// page_invert: the tree from the innermost frames out: callees are the parents of their callers (query/invert.c does the
// same for the other views).
//
// Paths that end alike are many more nodes this way round: so the heaviest parts are unfolded first, and beyond MOST nodes
// the callers of what is left are one frame for each place.
const MOST = 250000;

// A heap of (weight, group), the heaviest first.
class Heap {
  constructor() {
    this.weights = [];
    this.groups = [];
  }
  get size() {
    return this.groups.length;
  }
  before(i, j) {
    return this.weights[i] !== this.weights[j] ? this.weights[i] > this.weights[j] : this.groups[i].node < this.groups[j].node;
  }
  swap(i, j) {
    [this.weights[i], this.weights[j]] = [this.weights[j], this.weights[i]];
    [this.groups[i], this.groups[j]] = [this.groups[j], this.groups[i]];
  }
  push(weight, group) {
    let i = this.size;
    this.weights.push(weight);
    this.groups.push(group);
    for (let up; i && this.before(i, up = (i - 1) >> 1); i = up) this.swap(i, up);
  }
  pop() {
    const last = this.size - 1, first = this.groups[0];
    this.swap(0, last);
    this.weights.pop();
    this.groups.pop();
    for (let i = 0, c; (c = 2 * i + 1) < last; i = c) {
      if (c + 1 < last && this.before(c + 1, c)) c++;
      if (!this.before(c, i)) break;
      this.swap(i, c);
    }
    return first;
  }
}

// -> tree as makeGraph wants it, and items, begin, end: the nodes of the recording whose samples are at or below node i
// are items[begin[i]] .. items[end[i] - 1].
function invertTree(self) {
  const room = MOST + 2 * nodes.n + 4; // rows, nodes, and what is left out of each
  const parent = new Int32Array(room), frame = new Uint32Array(room), n = new Float64Array(room), ns = new Float64Array(room);
  const begin = new Uint32Array(room), end = new Uint32Array(room);
  const weight = BY_TIME ? self.ns : self.n, rows = facts.rows;
  const rowOf = new Uint32Array(nodes.n); // node of the new tree that stands for the rows above it
  const add = (above, f, from, to) => {
    parent[size] = above;
    frame[size] = f;
    begin[size] = from;
    end[size] = to;
    return size++;
  };
  let size = 0, used = 0;
  add(-1, ROOT, 0, 0);
  for (let i = 1; i < nodes.n; i++) {
    rowOf[i] = rowOf[nodes.parent[i]];
    if (nodes.depth[i] <= rows && nodes.frame[i] < MORE) rowOf[i] = add(rowOf[i], nodes.frame[i], 0, 0);
    if (self.n[i] || self.ns[i]) used++;
  }
  const items = new Uint32Array(used), at = new Uint32Array(nodes.n); // at: the frame of an item's path that comes next
  used = 0;
  for (let i = 1; i < nodes.n; i++) {
    at[i] = i;
    if (self.n[i] || self.ns[i]) items[used++] = i;
  }
  if (rows) items.sort((a, b) => rowOf[a] - rowOf[b] || a - b);
  const heap = new Heap();
  const push = (node, from, to) => {
    let sum = 0;
    for (let k = from; k < to; k++) sum += weight[items[k]];
    heap.push(sum, { node, from, to });
  };
  for (let i = 0, j; i < used; i = j) {
    for (j = i; j < used && rowOf[items[j]] === rowOf[items[i]];) j++;
    for (let k = rowOf[items[i]]; k >= 0; k = parent[k]) {
      if (end[k] === begin[k]) begin[k] = i;
      end[k] = j;
    }
    push(rowOf[items[i]], i, j);
  }
  const isOver = (item) => nodes.depth[at[item]] <= rows;
  const credit = (node, item) => {
    n[node] += self.n[item];
    ns[node] += self.ns[item];
  };
  const sortKey = (item) => (isOver(item) ? -1 : nodes.frame[at[item]]);
  const unfold = (node, from, to) => {
    let k = from;
    if (to - from > 1) sortBy(items, from, to, sortKey);
    for (; k < to && isOver(items[k]); k++) credit(node, items[k]);
    while (k < to) {
      const f = nodes.frame[at[items[k]]], first = k;
      for (; k < to && nodes.frame[at[items[k]]] === f; k++) at[items[k]] = nodes.parent[at[items[k]]];
      push(add(node, f, first, k), first, k);
    }
  };
  // One path on its own: its callers one after the other weigh the same, and need no place in the heap.
  const unfoldPath = (node, k) => {
    const item = items[k];
    let i = at[item], here = node;
    for (; nodes.depth[i] > rows; i = nodes.parent[i]) here = add(here, nodes.frame[i], k, k + 1);
    at[item] = i;
    credit(here, item);
  };
  while (heap.size && size < MOST) {
    const { node, from, to } = heap.pop();
    if (to - from === 1 && size + nodes.depth[at[items[from]]] < MOST) unfoldPath(node, from);
    else unfold(node, from, to);
  }
  for (const { node, from, to } of heap.groups) {
    let rest = -1;
    for (let k = from; k < to; k++) {
      if (isOver(items[k])) {
        credit(node, items[k]);
        continue;
      }
      if (rest < 0) rest = add(node, LEFT_OUT, from, to);
      credit(rest, items[k]);
    }
  }
  return { parent: parent.slice(0, size), frame: frame.slice(0, size), n: n.slice(0, size), ns: ns.slice(0, size), items, begin, end };
}

// Numbers are sorted faster than objects by a function: key and place in one.
function sortBy(items, from, to, key) {
  const size = to - from, part = items.slice(from, to), keys = new Float64Array(size);
  for (let i = 0; i < size; i++) keys[i] = (key(part[i]) + 1) * 4194304 + i;
  keys.sort();
  for (let i = 0; i < size; i++) items[from + i] = part[keys[i] % 4194304];
}
