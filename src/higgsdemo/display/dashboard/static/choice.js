// What the viewer chose. It lives in the address, so a reload and a link show the same.
const KEYS = ["variable", "channel", "year", "merged"];
const VARIABLES = {
  m4l: "m(4ℓ)", m4l_wide: "m(4ℓ), wide", m4l_published: "m(4ℓ), published bins", mZ1: "m(Z₁)", mZ2: "m(Z₂)",
};
const BINS = [1, 2, 3, 4, 6, 10, 20];
const PLAIN = { variable: "m4l", channel: "", year: "", merged: "1", scale: "linear" };

export const CHANNELS = { "4mu": "4μ", "4e": "4e", "2mu2e": "2μ2e" };
export const state = {
  ...PLAIN,
  theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
  stage: false,
};

let changed = () => {};
let width = 3; // GeV, of a bin that is not merged

function read() {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const key of [...KEYS, "scale"]) state[key] = words.get(key) ?? PLAIN[key];
  if (["dark", "light"].includes(words.get("theme"))) state.theme = words.get("theme");
  if (state.scale !== "log") state.scale = "linear";
  state.stage = words.get("stage") === "1";
}

function write() {
  const words = new URLSearchParams();
  for (const key of [...KEYS, "scale"]) if (state[key] !== PLAIN[key]) words.set(key, state[key]);
  words.set("theme", state.theme);
  if (state.stage) words.set("stage", "1");
  history.replaceState(null, "", "#" + words);
}

export const selection = () => Object.fromEntries(KEYS.map((key) => [key, state[key]]));
export const query = () => new URLSearchParams(selection()).toString();

function set(key, value) {
  if (state[key] === value) return;
  state[key] = value;
  write();
  changed(KEYS.includes(key) ? "selection" : "look");
}

export function options(box, choices, chosen) {
  const key = JSON.stringify(choices);
  if (box.dataset.options !== key) {
    box.dataset.options = key;
    box.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
  }
  box.value = chosen;
}

function radios(box, name, choices) {
  const key = JSON.stringify(choices);
  if (box.dataset.options === key) return;
  box.dataset.options = key;
  for (const old of box.querySelectorAll("label")) old.remove();
  for (const [value, text] of choices) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name, value, checked: state[name] === value });
    input.onchange = () => set(name, value);
    const span = document.createElement("span");
    span.textContent = text;
    label.append(input, span);
    box.append(label);
  }
}

// What this run has to choose from.
export function offer(choices) {
  const $ = (id) => document.getElementById(id);
  radios($("channel"), "channel", [["", "all"], ...choices.channels.map((one) => [one, CHANNELS[one] ?? one])]);
  options($("year"), [["", "all"], ...choices.years.map((one) => [String(one), String(one)])], state.year);
  options($("variable"), choices.variables.map((one) => [one, VARIABLES[one] ?? one]), state.variable);
  bins();
}

export function binWidth(value) {
  if (value === width) return;
  width = value;
  bins();
}

function bins() {
  const choices = BINS.map((n) => [String(n), `${+(n * width).toPrecision(3)} GeV`]);
  options(document.getElementById("merged"), choices, state.merged);
}

function present(on) {
  set("stage", on);
  if (on) document.documentElement.requestFullscreen?.().catch(() => {}); // only if one may
  else if (document.fullscreenElement) document.exitFullscreen();
}

function pick(name, value) {
  document.querySelector(`#${name} input[value="${value}"]`)?.click();
}

const KEYBOARD = {
  p: () => present(!state.stage),
  d: () => set("theme", state.theme === "dark" ? "light" : "dark"),
  l: () => pick("scale", state.scale === "log" ? "linear" : "log"),
  escape: () => state.stage && present(false),
};

export function begin(onChange) {
  changed = onChange;
  read();
  write();
  for (const id of ["year", "merged", "variable"]) {
    document.getElementById(id).onchange = (event) => set(id, event.target.value);
  }
  for (const input of document.querySelectorAll("#scale input")) {
    input.checked = input.value === state.scale;
    input.onchange = () => set("scale", input.value);
  }
  document.getElementById("theme").onclick = KEYBOARD.d;
  document.getElementById("stage").onclick = KEYBOARD.p;
  document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) set("stage", false); });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input[type=search], select, dialog")) return;
    const key = event.key.toLowerCase();
    if (key in KEYBOARD) KEYBOARD[key]();
    else if (/^[0-9]$/.test(key)) document.querySelectorAll("#channel input")[+key]?.click();
    else return;
    event.preventDefault();
  });
}
