// lines: the heat map's keys and its light. The page is complete without this script; it reads numbers from attributes
// and writes no text of the recording anywhere.
const root = document.documentElement, button = document.getElementById("theme");

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

function showTheme() {
  button.textContent = isDark() ? "\u2600 Light" : "\u263e Dark";
}

function toggleTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
}

// Lines that took something themselves, the hottest first.
const weight = (row) => Number(row.dataset.selfNs) || Number(row.dataset.selfN);
const hot = [...document.querySelectorAll("tr[data-self-n]")].filter((row) => weight(row) > 0).sort((a, b) => weight(b) - weight(a));
let at = -1;

function go(step) {
  if (!hot.length) return;
  if (at >= 0) hot[at].classList.remove("current");
  at = at < 0 ? (step > 0 ? 0 : hot.length - 1) : (at + step + hot.length) % hot.length;
  hot[at].classList.add("current");
  hot[at].tabIndex = -1;
  hot[at].scrollIntoView({ block: "center" });
  hot[at].focus({ preventScroll: true });
}

button.hidden = false;
document.getElementById("keys").hidden = !hot.length;
button.addEventListener("click", toggleTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "n") go(1);
  else if (e.key === "N") go(-1);
  else if (e.key === "t") toggleTheme();
});
showTheme();
root.dataset.ready = "yes";
