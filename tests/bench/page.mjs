#!/usr/bin/env node
// usage: page.mjs [BUILD-FOLDER] [FRAMES]      (default: build, 200000)
// The page (flamegraph -o x.html) in Chromium, at 200,000 frames: bytes, first paint, zoom, other views, a thread, a stretch
// of time; speedscope with the same stacks in the same run; and its data as it lies in the file (base64 of zlib, LEB128)
// beside the same columns as JSON.
//
//     first paint   from the start of the navigation to the end of the first drawing (performance mark pyspy-painted)
//     ready         until threads and time can be chosen
//     zoom          a click until the picture is drawn; "on screen": until the frame after it, with table and bands behind
//
// The machine is shared: look at ratios of one run. Needs cc, Chromium, playwright-core and speedscope (install-deps viewers).
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const build = path.resolve(process.argv[2] || "build"), wanted = Number(process.argv[3] || 200000);
const viewers = process.env.PYSPY_VIEWERS || "/var/tmp/pyspy-cache/viewers";
const require = createRequire(path.join(viewers, "x.js"));
const { chromium } = require("playwright-core");
const work = fs.mkdtempSync(path.join(os.tmpdir(), "pyspy-page-bench-"));
const report = path.join(build, "pyspy-report");
const row = (name, value, more = "") => console.log("  " + name.padEnd(34) + String(value).padStart(12) + "  " + more);
const ms = (t) => t.toFixed(1) + " ms";
const mb = (n) => (n / 1e6).toFixed(2) + " MB";
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

function bigrec() {
  const exe = path.join(work, "bigrec"), sources = ["format", "libcommon"].flatMap((d) => fs.readdirSync(path.join(root, d)).filter((f) => f.endsWith(".c")).map((f) => path.join(root, d, f)));
  execFileSync(process.env.CC || "cc", ["-std=gnu17", "-O2", "-D_GNU_SOURCE", '-DPYSPY_VERSION="bench"', "-I" + root, "-o", exe, path.join(root, "tests/bench/bigrec.c"), ...sources, "-lzstd", "-lm"]);
  // 3.3 new frames for each stack
  execFileSync(exe, ["write", path.join(work, "big.pyspy"), "1000000", "8", "4", String(Math.round(wanted / 3.3)), "40", "3.3", "0.5", "outside"], { stdio: "ignore" });
}

async function ourPage(browser) {
  const file = path.join(work, "big.html");
  execFileSync(report, ["flamegraph", "-i", "--max-frames", "1000000", "-o", file, path.join(work, "big.pyspy")], { stdio: "ignore" });
  const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
  await page.goto("file://" + file);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "yes", null, { timeout: 120000 });
  const marks = await page.evaluate(() => Object.fromEntries(performance.getEntriesByType("mark").map((m) => [m.name, m.startTime])));
  row("file", mb(fs.statSync(file).size));
  row("first paint", ms(marks["pyspy-painted"]), marks["pyspy-painted"] < 1000 ? "< 1 s" : "NOT < 1 s");
  row("ready", ms(marks["pyspy-ready"]));
  const zooms = await page.evaluate(async () => {
    const canvas = document.getElementById("picture"), r = canvas.getBoundingClientRect(), out = [];
    for (let i = 0; i < 40; i++) {
      // further in by turns, then out to the root again
      const x = i % 4 === 3 ? 10 : r.width * ((i * 37) % 100) / 100, y = i % 4 === 3 ? 5 : 60 + 100 * (i % 4);
      const begin = performance.now();
      canvas.dispatchEvent(new MouseEvent("click", { clientX: r.left + x, clientY: r.top + y, bubbles: true }));
      const drawn = performance.now();
      await new Promise((ok) => requestAnimationFrame(() => setTimeout(ok)));
      out.push([drawn - begin, performance.now() - begin]);
    }
    return out;
  });
  const drawn = zooms.map((z) => z[0]), worst = Math.max(...drawn);
  row("zoom, median of " + drawn.length, ms(median(drawn)));
  row("zoom, the slowest", ms(worst), worst < 50 ? "< 50 ms" : "NOT < 50 ms");
  row("zoom on screen, median", ms(median(zooms.map((z) => z[1]))));
  for (const [name, key] of [["inverted", "3"], ["icicle again", "1"], ["flame", "2"], ["heaviest first", "o"]]) {
    row(name, ms(await page.evaluate((k) => {
      const begin = performance.now();
      document.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true }));
      return performance.now() - begin;
    }, key)));
  }
  row("a search", ms(await page.evaluate(() => {
    const q = document.getElementById("query"), begin = performance.now();
    q.value = "module1";
    document.getElementById("search").dispatchEvent(new SubmitEvent("submit", { cancelable: true }));
    return performance.now() - begin;
  })));
  row("one thread", ms(await page.evaluate(() => {
    const e = document.getElementById("thread"), begin = performance.now();
    e.selectedIndex = 1;
    e.dispatchEvent(new Event("change"));
    return performance.now() - begin;
  })));
  await page.close();
  return file;
}

async function speedscope(browser) {
  const json = path.join(work, "big.speedscope.json");
  const folder = path.join(path.dirname(require.resolve("speedscope/package.json")), "dist/release");
  // the same stacks with their weights, without their order in time: what is drawn here too
  const stacks = execFileSync(report, ["raw", "-i", path.join(work, "big.pyspy")], { maxBuffer: 1 << 30, stdio: ["ignore", "pipe", "ignore"] });
  const folded = path.join(work, "big.folded");
  fs.writeFileSync(folded, stacks);
  execFileSync(report, ["speedscope", "-i", "-o", json, path.join(work, "big.pyspy")], { stdio: "ignore" });
  const server = http.createServer((q, r) => {
    const u = new URL(q.url, "http://x").pathname, f = u === "/data.folded" ? folded : u === "/data.json" ? json : path.join(folder, path.normalize(u));
    fs.readFile(f, (e, b) => { r.writeHead(e ? 404 : 200, { "content-type": f.endsWith(".html") ? "text/html" : f.endsWith(".js") ? "text/javascript" : f.endsWith(".css") ? "text/css" : "application/octet-stream" }); r.end(b); });
  });
  await new Promise((ok) => server.listen(0, "127.0.0.1", ok));
  const base = "http://127.0.0.1:" + server.address().port;
  for (const [name, file, size] of [["folded stacks", "data.folded", stacks.length], ["with its order in time", "data.json", fs.statSync(json).size]]) {
    const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
    const begin = Date.now();
    await page.goto(base + "/index.html#profileURL=" + encodeURIComponent(base + "/" + file));
    const ok = await page.waitForFunction(() => / - speedscope$/.test(document.title), null, { timeout: 120000 }).then(() => true, () => false);
    await page.evaluate(() => new Promise((go) => requestAnimationFrame(() => setTimeout(go)))).catch(() => {});
    row("speedscope: " + name, ok ? ms(Date.now() - begin) : "not loaded", mb(size));
    await page.close();
  }
  server.close();
}

// The columns of the page, as text of JSON.
function asJson(bytes) {
  let at = 0;
  const number = () => {
    let v = 0, scale = 1;
    for (;;) {
      const c = bytes[at++];
      v += (c & 127) * scale;
      if (c < 128) return v;
      scale *= 128;
    }
  };
  const column = (n) => Array.from({ length: n }, number), out = {};
  const nStrings = number();
  column(nStrings);
  const text = number();
  out.strings = bytes.subarray(at, at + text).toString();
  at += text;
  const nFunctions = number();
  out.functions = [column(nFunctions), column(nFunctions), column(nFunctions)];
  const nFrames = number();
  out.frames = [0, 1, 2, 3, 4].map(() => column(nFrames));
  const n = number();
  out.nodes = [column(n), column(n - 1), column(n), column(n)];
  out.n = n;
  return out;
}

async function encodings(browser, file) {
  const html = fs.readFileSync(file, "utf8"), text = html.match(/id="profile">([^<]*)</)[1];
  const bytes = zlib.inflateSync(Buffer.from(text, "base64")), columns = asJson(bytes), json = JSON.stringify(columns);
  const page = await browser.newPage();
  const times = await page.evaluate(async ([packed, plain, n]) => {
    const best = { packed: 1e9, json: 1e9 };
    for (let k = 0; k < 5; k++) {
      let begin = performance.now();
      const raw = atob(packed), b = new Uint8Array(raw.length);
      for (let i = 0; i < raw.length; i++) b[i] = raw.charCodeAt(i);
      const all = new Uint8Array(await new Response(new Blob([b]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
      let at = 0, sum = 0;
      while (at < all.length) { // as many numbers as there are, whatever they mean
        let v = 0, scale = 1, c;
        do { c = all[at++]; v += (c & 127) * scale; scale *= 128; } while (c >= 128);
        sum += v;
      }
      best.packed = Math.min(best.packed, performance.now() - begin);
      begin = performance.now();
      const o = JSON.parse(plain), typed = o.nodes.map((c) => Float64Array.from(c));
      best.json = Math.min(best.json, performance.now() - begin);
      if (typed[0].length !== n || !(sum > 0)) throw new Error("not the same");
    }
    return best;
  }, [text, json, columns.n]);
  row("packed: base64, zlib, LEB128", ms(times.packed), mb(text.length) + " of text");
  row("the same columns as JSON", ms(times.json), mb(json.length) + " of text");
  await page.close();
  return columns.n;
}

const chrome = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((f) => fs.existsSync(f));
const launch = (...more) => chromium.launch({ executablePath: chrome, headless: true, args: ["--no-sandbox", ...more] });
const browser = await launch("--disable-gpu");
try {
  bigrec();
  console.log("a page of some " + wanted + " frames, 1,000,000 samples of 8 threads (load " + os.loadavg()[0].toFixed(1) + " on " + os.cpus().length + " CPUs)");
  const file = await ourPage(browser);
  console.log("the same stacks, the same run");
  const drawing = await launch("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"); // it wants WebGL
  await speedscope(drawing).finally(() => drawing.close());
  console.log("how its " + (await encodings(browser, file)) + " nodes lie in the file");
} finally {
  await browser.close();
  fs.rmSync(work, { recursive: true, force: true });
}
