// page_data: the profile as it lies in the page (view/page.c: pack_*): base64 of zlib, numbers as LEB128, column by column.
async function unpack(id) {
  const element = byId(id), text = element.textContent;
  element.remove(); // the text is as large as all the rest of the page
  let packed;
  if (Uint8Array.fromBase64) {
    packed = Uint8Array.fromBase64(text);
  } else {
    const bytes = atob(text);
    packed = new Uint8Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) packed[i] = bytes.charCodeAt(i);
  }
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  number() {
    let c = this.bytes[this.at++];
    if (c < 0x80) return c;
    let v = c & 0x7f, scale = 128;
    do { // no shifts: they would end at 32 bits
      c = this.bytes[this.at++];
      v += (c & 0x7f) * scale;
      scale *= 128;
    } while (c >= 0x80);
    return v;
  }
  column(array, from = 0) {
    for (let i = from; i < array.length; i++) array[i] = this.number();
    return array;
  }
  // nanoseconds are in units of UNIT_NS
  times(array) {
    this.column(array);
    if (UNIT_NS > 1) for (let i = 0; i < array.length; i++) array[i] *= UNIT_NS;
    return array;
  }
  strings() {
    const lengths = this.column(new Uint32Array(this.number())), n = this.number();
    const all = new TextDecoder().decode(this.bytes.subarray(this.at, this.at + n));
    this.at += n;
    let at = 0;
    return Array.from(lengths, (length) => all.slice(at, at += length));
  }
}

// Frames beyond those of the recording: what stands for many, the root, and the end of an inverted graph that was cut.
let MORE, ROOT, LEFT_OUT;
const ORIGIN_MADE = 4, ORIGIN_ROW = 5; // enum naming_origin

let strings, functions, frames, nodes;

function readProfile(bytes) {
  const r = new Reader(bytes);
  strings = r.strings();
  const nFunctions = r.number();
  functions = { n: nFunctions, name: r.column(new Uint32Array(nFunctions)), file: r.column(new Uint32Array(nFunctions)), line: r.column(new Uint32Array(nFunctions)) };
  const n = r.number();
  const column = () => r.column(new Uint32Array(n));
  frames = { n, name: column(), file: column(), func: column(), line: column(), colour: column() };
  MORE = n;
  ROOT = n + 1;
  LEFT_OUT = n + 2;
  readNodes(r);
}

// Nodes in the order of a walk: a node's descendants are those between it and end[it].
function readNodes(r) {
  const n = r.number();
  const depth = r.column(new Uint32Array(n)), parent = new Int32Array(n), frame = r.column(new Uint32Array(n), 1);
  const path = [-1];
  for (let i = 0, d = 0; i < n; i++) {
    d = i ? d + 1 - depth[i] : 0;
    depth[i] = d;
    parent[i] = d ? path[d - 1] : -1;
    path[d] = i;
  }
  const more = new Map();
  frame[0] = ROOT;
  for (let i = 1; i < n; i++) {
    if (frame[i] === 0) more.set(i, 0);
    frame[i] = frame[i] === 0 ? MORE : frame[i] - 1;
  }
  for (const i of more.keys()) more.set(i, r.number());
  nodes = { n, parent, depth, frame, more, selfN: r.column(new Float64Array(n)), selfNs: r.times(new Float64Array(n)) };
}

// Of cells: node, thread, bucket. Then the same of what threads were up to: on a CPU, with the GIL, waiting for it.
let cells, meters;

function readTimes(bytes) {
  const r = new Reader(bytes);
  const some = () => {
    const n = r.number(), node = r.column(new Uint32Array(n));
    for (let i = 1; i < n; i++) node[i] += node[i - 1];
    return { n, node, thread: r.column(new Uint32Array(n)), bucket: r.column(new Uint32Array(n)), samples: r.column(new Float64Array(n)), ns: r.times(new Float64Array(n)) };
  };
  cells = some();
  meters = { cpu: some(), gil: some(), wait: some() };
}

function placed(name, file, line) {
  return strings[name] + (file ? " (" + strings[file] + (line ? ":" + line : "") + ")" : "");
}

function frameText(f) {
  if (f === ROOT) return "all";
  if (f === LEFT_OUT) return "[callers left out]";
  if (f >= frames.n) return "[more]";
  return placed(frames.name[f], frames.file[f], frames.line[f]);
}

function functionText(k) {
  return placed(functions.name[k], functions.file[k], functions.line[k]);
}

const originOf = (f) => (f < frames.n ? frames.colour[f] >> 8 : ORIGIN_MADE);
