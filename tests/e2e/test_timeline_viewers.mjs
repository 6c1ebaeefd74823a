// needs: viewers
// timeout: 900
// speedscope and chrometrace files in speedscope itself (headless Chromium): rows and totals of its Sandwich table are
// those of `top --json`, nothing is warned of, nothing is fetched; its own JSON schema (ajv). In the full form every
// recording of the tests, recordings of real programs by both engines, Chrome's trace engine, Mozilla's profiler-cli.
// And the checks refuse a wrong file of each kind.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

const full = process.env.PYSPY_FULL === "1";
const build = path.resolve(process.env.PYSPY_BUILD || "build");
const viewers = process.env.PYSPY_VIEWERS || "/var/tmp/pyspy-cache/viewers";
const more = viewers + "-full";
const need = createRequire(path.join(viewers, "x.js"));
const chrome = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((f) => fs.existsSync(f));
if (!chrome || !fs.existsSync(path.join(viewers, "node_modules/speedscope")) || !fs.existsSync(path.join(viewers, "node_modules/ajv"))) {
  console.log("no Chromium, speedscope or ajv (scripts/install-deps viewers)");
  process.exit(process.env.CI === "true" ? 1 : 77);
}
const release = path.join(path.dirname(need.resolve("speedscope/package.json")), "dist/release");
const work = fs.mkdtempSync(path.join(os.tmpdir(), "pyspy-viewers-"));
const run = (program, ...args) => execFileSync(path.join(build, program), args, { cwd: work, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 30, timeout: 120000 });
const view = (verb, recording, ...options) => {
  const file = path.join(work, `${recording}.${verb}.json`);
  run("pyspy-report", verb, "-i", "--no-function", "--no-threads", ...options, "-o", file, recording + ".pyspy");
  return file;
};
const load = (file) => JSON.parse(fs.readFileSync(file, "utf8"));

// speedscope's own schema
const valid = new (need("ajv"))({ strict: false }).compile(load(path.join(release, "file-format-schema.json")));
function schema(doc) {
  return valid(doc) ? [] : valid.errors.map((e) => e.instancePath + " " + e.message);
}

// [name, total, self] for each frame of a profile, in ns
function speedscopeRows(doc, profile) {
  const rows = new Map();
  const at = (f) => rows.get(f) ?? rows.set(f, [doc.shared.frames[f].name, 0, 0]).get(f);
  doc.profiles[profile].samples.forEach((stack, i) => {
    const w = doc.profiles[profile].weights[i];
    for (const f of new Set(stack)) at(f)[1] += w;
    if (stack.length) at(stack[stack.length - 1])[2] += w;
  });
  return [...rows.values()];
}

// the same from top, by thread
function topRows(recording, tid) {
  const top = JSON.parse(run("pyspy-report", "top", "--json", "--by", "line", "-L", "0", "-i", "--no-processes", "--no-threads", "--thread", String(tid), recording + ".pyspy"));
  return top.rows.filter((r) => r.total_ns).map((r) => [r.function, r.total_ns, r.self_ns]);
}

// of a trace: speedscope merges by name
function traceRows(doc, pid, tid) {
  const rows = new Map(), open = [];
  let last = 0;
  const ns = (e) => Math.round(e.ts * 1000); // its rows are as exact as the file: a slice may end 1 ns early
  for (const e of doc.traceEvents) {
    if (e.pid !== pid || e.tid !== tid || !"BE".includes(e.ph)) continue;
    const d = ns(e) - last;
    last = ns(e);
    if (d && open.length) {
      for (const n of new Set(open)) rows.get(n)[1] += d;
      rows.get(open[open.length - 1])[2] += d;
    }
    if (e.ph === "B") { open.push(e.name); if (!rows.has(e.name)) rows.set(e.name, [e.name, 0, 0]); }
    else open.pop();
  }
  return [...rows.values()];
}

// "2.19s (85%)" -> [ns, half of the last digit shown]
function shown(text) {
  const m = /^(?:(\d+):)?([\d,]+)(?:\.(\d+))?(ns|µs|us|ms|s|)(?: |$)/.exec(text);
  assert.ok(m, "a cell that is no time: " + text);
  const unit = m[1] !== undefined ? 1e9 : { ns: 1, "µs": 1e3, us: 1e3, ms: 1e6, s: 1e9, "": 1e9 }[m[4]];
  const value = (Number(m[1] || 0) * 60 + Number(m[2].replaceAll(",", "") + "." + (m[3] || "0"))) * unit;
  return [value, 0.51 * unit * 10 ** -(m[3] || "").length];
}

const flat = (s) => s.replace(/\s+/g, " ").trim();
// cells and rows are the same multiset: by name, then by time
function compare(what, cells, rows) {
  const order = (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : b[1] - a[1] || b[2] - a[2]);
  const got = cells.map((c) => [flat(c.name), ...shown(c.total), ...shown(c.self)]).map(([n, t, dt, s, ds]) => [n, t, s, dt, ds]).sort(order);
  const want = rows.map((r) => [flat(r[0]), r[1], r[2]]).sort(order);
  assert.ok(got.length > 0, what + ": no rows");
  assert.equal(got.length, want.length, `${what}: ${got.length} rows, not ${want.length}`);
  const used = new Set();
  for (const w of want) { // rounding may have changed the order of equals
    const i = got.findIndex((g, k) => !used.has(k) && g[0] === w[0] && Math.abs(g[1] - w[1]) <= g[3] && Math.abs(g[2] - w[2]) <= g[4]);
    assert.ok(i >= 0, `${what}: ${JSON.stringify(w)} is not among ${JSON.stringify(got.filter((g) => g[0] === w[0]))}`);
    used.add(i);
  }
}

// a server for the application and the files, and a browser
const mime = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };
const server = http.createServer((q, r) => {
  const name = path.normalize(decodeURIComponent(new URL(q.url, "http://x").pathname));
  const file = name.startsWith("/profile/") ? path.join(work, name.slice(9)) : path.join(release, name);
  fs.readFile(file, (e, bytes) => {
    r.writeHead(e ? 404 : 200, { "content-type": mime[path.extname(file)] || "application/octet-stream" });
    r.end(bytes);
  });
});
let browser, base, page;
const sins = [];

async function start() {
  await new Promise((ok) => server.listen(0, "127.0.0.1", ok));
  base = `http://127.0.0.1:${server.address().port}`;
  const { chromium } = need("playwright-core");
  browser = await chromium.launch({
    executablePath: chrome, headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", // speedscope draws by WebGL
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
  });
  page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  page.on("console", (m) => {
    if ((m.type() === "error" || m.type() === "warning") && !/GPU stall|WebGL|GroupMarker/i.test(m.text())) sins.push(m.type() + ": " + m.text());
  });
  page.on("pageerror", (e) => sins.push("exception: " + e.message));
  page.on("dialog", (d) => { sins.push("dialog: " + d.message()); d.dismiss().catch(() => {}); });
  page.on("request", (q) => { if (!q.url().startsWith(base + "/") && !/^(data|blob):/.test(q.url())) sins.push("request: " + q.url()); });
}

const text = () => page.evaluate(() => document.body.innerText);

async function open(file) {
  sins.length = 0;
  await page.goto("about:blank");
  await page.goto(`${base}/index.html#profileURL=${encodeURIComponent(`${base}/profile/${path.basename(file)}`)}`);
  for (const end = Date.now() + 60000; ;) {
    if (/ - speedscope$/.test(await page.title())) return;
    const t = await text();
    assert.ok(!/Something went wrong|Unrecognized format/i.test(t), "speedscope says: " + flat(t).slice(0, 200));
    assert.deepEqual(sins, []);
    assert.ok(Date.now() < end, "speedscope did not load " + file);
    await page.waitForTimeout(30);
  }
}

// the Sandwich table; only rows in view are in the page: it is scrolled through
async function table() {
  await page.keyboard.press("3");
  await page.waitForFunction(() => {
    const h = [...document.querySelectorAll("thead")].find((t) => /Symbol Name/.test(t.textContent));
    return h && h.parentElement.parentElement.querySelector("td");
  }, null, { timeout: 5000 }).catch(() => {});
  await page.waitForTimeout(100);
  return page.evaluate(async () => {
    const head = [...document.querySelectorAll("thead")].find((t) => /Symbol Name/.test(t.textContent));
    if (!head) return [];
    const all = head.parentElement.parentElement;
    const names = [...head.querySelectorAll("th")].map((e) => e.textContent.trim());
    const column = (n) => names.indexOf(n);
    const box = [...all.querySelectorAll("div")].find((e) => e.scrollHeight > e.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(e).overflowY));
    const rows = new Map();
    const look = () => {
      for (const r of all.querySelectorAll("tr")) {
        const c = [...r.querySelectorAll("td")].map((e) => e.textContent);
        if (c.length >= 3) rows.set(Math.round(r.getBoundingClientRect().top + (box ? box.scrollTop : 0)), { name: c[column("Symbol Name")], total: c[column("Total")].trim(), self: c[column("Self")].trim() });
      }
    };
    look();
    for (let y = 0; box && y < box.scrollHeight; y += box.clientHeight / 2) {
      box.scrollTop = y;
      await new Promise((ok) => requestAnimationFrame(() => requestAnimationFrame(ok)));
      look();
    }
    if (box) box.scrollTop = 0;
    return [...rows.values()];
  });
}

// which profile is shown, of how many
async function place() {
  const m = /\((\d+)\/(\d+)\)\s*$/m.exec(await text());
  return m ? { i: +m[1] - 1, n: +m[2] } : { i: 0, n: 1 };
}

// every profile of the file, or the one that is shown first: `rows(i)` says what its table must hold
async function inSpeedscope(file, n, all, rows) {
  await open(file);
  let at = await place();
  assert.equal(at.n, n, path.basename(file) + ": profiles");
  const first = at.i;
  compare(`${path.basename(file)} ${at.i}`, await table(), rows(at.i));
  for (let i = 0; all && i < n; i++) {
    for (let tries = 0; at.i !== i && tries < 200; tries++) {
      await page.keyboard.press(at.i < i ? "n" : "p");
      await page.waitForTimeout(40);
      at = await place();
    }
    assert.equal(at.i, i, "the profile is shown");
    compare(`${path.basename(file)} ${i}`, await table(), rows(i));
  }
  assert.deepEqual(sins, [], path.basename(file));
  return first;
}

async function speedscopeFile(recording, all, withTop) {
  const file = view("speedscope", recording), doc = load(file);
  assert.deepEqual(schema(doc), [], recording);
  if (!doc.profiles.some((p) => p.samples.some((s) => s.length))) return open(file);
  const first = await inSpeedscope(file, doc.profiles.length, all, (i) => speedscopeRows(doc, i));
  assert.equal(first, doc.activeProfileIndex, "the busiest is shown first");
  for (let i = 0; withTop && i < doc.profiles.length; i++) {
    const tid = /\(tid (\d+)[^()]*\)$/.exec(doc.profiles[i].name);
    if (!tid) continue;
    const sort = (rows) => rows.map((r) => JSON.stringify(r)).sort();
    assert.deepEqual(sort(speedscopeRows(doc, i)), sort(topRows(recording, tid[1])), `${recording}: ${doc.profiles[i].name}: top`);
  }
}

const threadsOf = (doc) => [...new Map(doc.traceEvents.filter((e) => e.ph === "B").map((e) => [`${e.pid}/${e.tid}`, [e.pid, e.tid]])).values()];

async function traceFile(recording, all) {
  const file = view("chrometrace", recording), doc = load(file), threads = threadsOf(doc);
  if (!threads.length) return;
  await open(file);
  const n = (await place()).n;
  assert.equal(n, threads.length, recording + ": threads");
  const names = await page.evaluate(() => document.title);
  assert.ok(names, "a title");
  const left = new Set(threads.map((_, i) => i));
  for (let i = 0; i < (all ? n : 1); i++) {
    let at = await place();
    for (let tries = 0; at.i !== i && all && tries < 200; tries++) {
      await page.keyboard.press(at.i < i ? "n" : "p");
      await page.waitForTimeout(40);
      at = await place();
    }
    const cells = await table(); // speedscope orders threads its own way: one of ours must fit
    const fits = [...left].find((k) => { try { compare(recording, cells, traceRows(doc, ...threads[k])); return true; } catch { return false; } });
    if (fits === undefined) compare(`${recording}: trace ${i}`, cells, traceRows(doc, ...threads[[...left][0]]));
    left.delete(fits);
  }
  assert.deepEqual(sins, [], recording + ": trace");
}

// Chrome DevTools' own engine
async function traceEngine(recording) {
  const folder = path.join(more, "node_modules/@paulirish/trace_engine");
  const log = { ...console };
  globalThis.window ??= globalThis;
  const engine = await import(pathToFileURL(path.join(folder, "models/trace/trace.js")).href);
  const events = load(view("chrometrace", recording)).traceEvents;
  console.log = console.warn = console.error = () => {};
  try {
    const model = engine.TraceModel.Model.createWithAllHandlers ? engine.TraceModel.Model.createWithAllHandlers() : new engine.TraceModel.Model(engine.Handlers.ModelHandlers);
    await model.parse(events, { isCPUProfile: false, isFreshRecording: false, metadata: {} });
    const parsed = model.parsedTrace ? model.parsedTrace(0) : model.parsedTraceData(0);
    assert.ok(parsed, recording + ": nothing parsed");
    const renderer = parsed.data?.Renderer ?? parsed.Renderer;
    const pids = new Set(threadsOf({ traceEvents: events }).map((t) => t[0]));
    for (const pid of pids) assert.ok(renderer.processes.has(pid), `${recording}: process ${pid}`);
  } finally { Object.assign(console, log); }
}

// Mozilla's loader: totals of each thread by function; `load` may give up after 500 ms although its daemon lives
async function profilerCli(recording) {
  const cli = path.join(more, "node_modules/.bin/profiler-cli"), session = `pyspy${process.pid}${recording}`;
  const call = (...a) => spawnSync(cli, a, { encoding: "utf8", timeout: 60000, maxBuffer: 1 << 28 });
  const file = view("firefox", recording), doc = load(file), strings = doc.shared.stringArray;
  try {
    let out = "";
    for (let i = 0; i < 20 && !/contains \d+ thread/.test(out); i++) {
      const loaded = call("load", "--session", session, file);
      assert.ok(!/error.*(parse|version|format)/i.test(loaded.stderr || ""), recording + ": " + loaded.stderr);
      out = call("profile", "info", "--session", session).stdout || "";
    }
    assert.match(out, new RegExp(`contains ${doc.threads.length} thread`), recording + ": " + out);
    doc.threads.forEach((t, i) => {
      const self = new Map(), byTime = t.samples.weightType === "tracing-ms";
      t.samples.stack.forEach((s, k) => {
        if (s === null) return;
        const f = doc.shared.frameTable.func[doc.shared.stackTable.frame[s]];
        self.set(f, (self.get(f) || 0) + t.samples.weight[k]);
      });
      const text = call("thread", "functions", "--session", session, "--include-idle", "--limit", "100000", "--thread", `t-${i}`).stdout || "";
      for (const [f, w] of self) {
        const name = strings[doc.shared.funcTable.name[f]];
        if (!w || !/^[\w.<>[\] ]+$/.test(name)) continue;
        const lines = text.split("\n").filter((l) => l.includes(`. ${name} - self: `));
        const ok = lines.some((l) => {
          const m = /self: ([\d.,]+)(s|ms|μs|µs|ns|)/.exec(l);
          const unit = byTime ? { s: 1000, ms: 1, "μs": 1e-3, "µs": 1e-3, ns: 1e-6, "": 1 }[m[2]] : 1;
          const digits = (m[1].split(".")[1] || "").length;
          return Math.abs(Number(m[1].replaceAll(",", "")) * unit - w) <= unit * 0.51 * 10 ** -digits;
        });
        assert.ok(ok, `${recording}: t-${i}: ${name} has ${w}, profiler-cli says ${lines.join(" | ") || text.slice(0, 500)}`);
      }
    });
  } finally { call("stop", session); }
}

// real threaded programs, recorded now
function record() {
  const made = [];
  fs.writeFileSync(path.join(work, "threads.py"), `
import json, threading, time
stop = time.time() + 1.5
def spin():
    while time.time() < stop: sum(i * i for i in range(2000))
def sleeper():
    while time.time() < stop: time.sleep(0.03)
def encode():
    while time.time() < stop: json.loads(json.dumps({str(i): list(range(20)) for i in range(50)})); time.sleep(0.001)
ts = [threading.Thread(target=f, name=n) for f, n in ((spin, "spin"), (sleeper, "</script>;\\n"), (encode, "enc\\u202e"))]
[t.start() for t in ts]
spin()
[t.join() for t in ts]
`);
  for (const engine of ["kernel", "outside"]) {
    const r = spawnSync(path.join(build, "pyspy-record"), ["--engine", engine, "-o", `real-${engine}.pyspy`, "--", "python3", "threads.py"], { cwd: work, encoding: "utf8", timeout: 60000 });
    if (r.status === 0) made.push("real-" + engine);
    else console.log(`      not recorded by ${engine}: ${(r.stderr || "").split("\n")[0]}`);
  }
  return made;
}

const refused = async (what, f) => { await assert.rejects(async () => f(), undefined, what + " is refused"); };
const tests = {
  async "two files in speedscope"() {
    await speedscopeFile("kernel", full, true);
    await traceFile("many", full);
  },
  async "a wrong file of each kind is refused"() {
    const doc = load(view("speedscope", "many"));
    assert.notDeepEqual(schema({ ...doc, profiles: [{ ...doc.profiles[0], unit: "hours" }] }), []);
    assert.notDeepEqual(schema({ ...doc, $schema: "x" }), []);
    assert.notDeepEqual(schema({ ...doc, shared: { frames: [{ file: "no name" }] } }), []);
    const rows = speedscopeRows(doc, 0), cells = rows.map((r) => ({ name: r[0], total: (r[1] / 1e9).toFixed(2) + "s", self: (r[2] / 1e9).toFixed(2) + "s" }));
    compare("itself", cells, rows);
    await refused("a row less", () => compare("x", cells.slice(1), rows));
    await refused("another total", () => compare("x", cells, rows.map((r, i) => (i ? r : [r[0], r[1] + 5e7, r[2]]))));
    await refused("no rows", () => compare("x", [], []));
    if (!full) return;
    const put = (name, d) => { fs.writeFileSync(path.join(work, name), JSON.stringify(d)); return path.join(work, name); };
    const bad = structuredClone(doc);
    bad.profiles.forEach((p) => p.samples[0].push(99999));
    await refused("an index too far in speedscope", () => inSpeedscope(put("bad1.json", bad), doc.profiles.length, false, (i) => speedscopeRows(doc, i)));
    const trace = load(view("chrometrace", "many"));
    trace.traceEvents.splice(trace.traceEvents.findIndex((e) => e.ph === "E"), 1);
    await refused("a missing E in speedscope", async () => { await open(put("bad2.json", trace)); await table(); assert.deepEqual(sins, []); });
  },
};
if (full) {
  tests["every recording of the tests in speedscope"] = async () => {
    for (const r of ["small", "motion", "hostile", "many", "undefined", "defaults", "holes", "weights", "reused"]) {
      await speedscopeFile(r, true, !["hostile", "undefined", "reused"].includes(r));
      await traceFile(r, true);
    }
    await open(view("speedscope", "wide")); // (deep is too much for speedscope itself: it gives up at some thousand frames)
    await open(view("speedscope", "deep", "--collapse-recursion"));
  };
  tests["recordings of real programs"] = async () => {
    const made = record();
    assert.ok(made.length > 0, "nothing was recorded");
    for (const r of made) { await speedscopeFile(r, true, true); await traceFile(r, true); }
  };
  const has = (m) => fs.existsSync(path.join(more, "node_modules", m));
  tests["Chrome's trace engine"] = async () => {
    if (!has("@paulirish/trace_engine")) return console.log("      no trace_engine (scripts/install-deps full): not tried");
    for (const r of ["small", "hostile", "many", "kernel", "reused", "weights", "wide"]) await traceEngine(r);
  };
  tests["Mozilla's profiler-cli"] = async () => {
    if (!has("@firefox-devtools/profiler-cli")) return console.log("      no profiler-cli (scripts/install-deps full): not tried");
    for (const r of ["small", "hostile", "many", "kernel", "reused", "weights", "wide", "deep"]) await profilerCli(r);
  };
}

let failed = 0;
try {
  await start();
  run("unit/test_report_views", "--write", work);
  run("unit/test_timeline", "--write", work);
  for (const [name, test] of Object.entries(tests)) {
    const begin = Date.now();
    try {
      await test();
      console.log(`ok    ${name} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
    } catch (e) {
      failed++;
      console.log("FAIL  " + name + ": " + (e.stderr ? e.stderr.toString() : e.stack));
    }
  }
} finally {
  if (browser) await browser.close();
  server.closeAllConnections?.();
  server.close();
  fs.rmSync(work, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
