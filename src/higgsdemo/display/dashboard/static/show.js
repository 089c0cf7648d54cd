// Sections into the page. Everything goes in as text: nothing that came from a file is markup.
import { CHANNELS, binWidth } from "./choice.js";
import { count, events, duration, inverse, make, percent, rate, set, sigma } from "./words.js";

const $ = (id) => document.getElementById(id);

export function link(state) {
  set("link", { live: "live", connecting: "connecting…", reconnecting: "reconnecting…" }[state]);
  $("link").dataset.state = state;
  document.body.classList.toggle("stale", state === "reconnecting");
}

export function following(it) {
  const silent = Object.entries(it.silent).map(([url, why]) => `${url}: ${why}`);
  set("follow", [it.text, ...silent].join(" · "));
  $("follow").dataset.state = it.state;
}

export function choice(state) {
  $("theme").setAttribute("aria-pressed", state.theme === "dark");
  set("theme", state.theme === "dark" ? "Light" : "Dark");
  $("stage").setAttribute("aria-pressed", state.stage);
  set("stage", state.stage ? "Leave" : "Present");
}

export function links(query) {
  for (const ending of ["png", "pdf", "svg"]) $(`get-${ending}`).href = `download/plot.${ending}?${query}`;
  $("get-json").href = `download/yields.json?${query}`;
  $("get-csv").href = `download/yields.csv?${query}`;
  $("get-run").href = "download/run.json";
}

const STATES = {
  waiting: "waiting for the first result", running: "running", complete: "complete", incomplete: "ended, incomplete",
};

export function overview(it) {
  set("title", it.title);
  set("run", it.run);
  document.title = `${percent(it.done, it.planned)} ${it.run} – higgsdemo`;
  $("demo").hidden = !it.demo;
  const bar = $("bar");
  bar.setAttribute("aria-valuemax", it.planned);
  bar.setAttribute("aria-valuenow", it.done);
  for (const part of ["done", "failed", "running"]) {
    bar.querySelector(`.${part}`).style.width = `${100 * it[part] / Math.max(1, it.planned)}%`;
  }
  const causes = Object.entries(it.causes).map(([cause, n]) => `${count(n)} ${cause}`).join(", ");
  set("counts", `${count(it.planned)} tasks = ${count(it.done)} done + ${count(it.failed)} failed`
    + `${causes ? ` (${causes})` : ""} + ${count(it.running)} running + ${count(it.queued)} queued · ${STATES[it.state]}`);
  $("counts").dataset.state = it.state;
  set("files", count(it.files.done));
  set("files-small", `${percent(it.files.done, it.files.planned)} of ${count(it.files.planned)} · ${count(it.events)} events`);
  const energies = it.luminosity;
  set("luminosity", energies.length ? sum(energies.map((one) => inverse(one.done_pb))) : "no data");
  set("luminosity-small", energies.map((one) =>
    `of ${inverse(one.planned_pb)}${one.sqrt_s_tev ? ` at ${one.sqrt_s_tev} TeV` : ""}`).join(", "));
  window125(it.window);
  fit(it.fit);
  const alarms = $("alarms");
  const said = it.alarms.map((text) => `Alarm: ${text}`);
  if (it.emptied) said.push(`A sink came back without what it held (${count(it.emptied)}×): what nobody had collected is lost`);
  said.push(...it.refused.map((text) => `Refused, not part of this run: ${text}`));
  if (it.refused_more) said.push(`and ${count(it.refused_more)} more documents refused`);
  alarms.hidden = !said.length;
  alarms.replaceChildren(...said.map((text) => make("li", text)));
}

// "1.4 + 6.9 fb⁻¹": a unit that is the same is said once.
function sum(terms) {
  const [units, last] = [new Set(terms.map((term) => term.split(" ")[1])), terms.at(-1)];
  return units.size === 1 ? [...terms.slice(0, -1).map((term) => term.split(" ")[0]), last].join(" + ") : terms.join(" + ");
}

function window125(it) {
  if (!it) return;
  set("window-name", `${it.range[0]}–${it.range[1]} GeV`);
  set("window-data", it.data === null ? events(it.expected.events) : `${count(it.data)} seen`);
  set("window-small",
    `${events(it.higgs.events)} Higgs + ${events(it.background.events)} background expected`);
}

function fit(it) {
  set("observed", sigma(it?.observed_significance));
  set("expected", it && it.expected_significance !== null
    ? `${sigma(it.expected_significance)} expected` : it?.not_computed ?? "no fit yet");
  set("strength", it && it.signal_strength !== null ? it.signal_strength.toFixed(2) : "–");
  const errors = it && it.error_up !== null && it.error_down !== null;
  const left = it?.left_out.map((one) => `${CHANNELS[one.channel] ?? one.channel}${one.year ? ` ${one.year}` : ""}`) ?? [];
  set("strength-small", errors
    ? `+${it.error_up.toFixed(2)} −${it.error_down.toFixed(2)}${left.length ? ` · without ${left.join(", ")}` : ""}` : "");
}

export function frame(it) {
  const where = it.channel ? CHANNELS[it.channel] ?? it.channel : "all channels";
  const name = it.x_label.replace(/ \(.*\)$/, "");
  set("spectrum-title", `${name[0].toUpperCase()}${name.slice(1)}, ${where}${it.year ? `, ${it.year}` : ""}`);
  set("legend-window", it.window ? `${it.window[0]}–${it.window[1]} GeV` : "");
  binWidth(it.width);
}

export function legend(rows) {
  $("legend").tBodies[0].replaceChildren(...rows.map((row) => {
    const isData = row.group === "data";
    const line = make("tr", null, `group-${row.group}`);
    line.dataset.group = row.group;
    const name = make("th");
    name.scope = "row";
    const mark = make("i", null, isData ? "mark point" : row.colour ? "mark" : "mark total");
    if (row.colour && !isData) mark.style.background = row.colour;
    name.append(mark, row.label);
    line.append(name, number(row.whole, isData), number(row.window, isData));
    return line;
  }));
}

function number(it, isData) {
  const cell = make("td", it === null ? "" : isData ? count(it.counts) : events(it.events));
  if (it === null) return cell;
  cell.dataset.value = isData ? it.counts : it.events;
  if (!isData) cell.append(make("small", ` ±${it.error >= 0.1 || it.error === 0 ? it.error.toFixed(1) : it.error.toPrecision(1)}`));
  return cell;
}

export function completeness(it) {
  $("caption").replaceChildren(...it.lines.map((line) => make("li", line)));
  set("missing-short", [it.lines[0], ...it.missing].filter(Boolean).join(" · "));
  $("missing").replaceChildren(...it.missing.map((line) => make("li", line)));
  const skipped = $("skipped");
  skipped.hidden = !it.skipped.length;
  skipped.replaceChildren(...it.skipped.map((name) => make("li", `skipped: ${name}`)));
  if (it.skipped_more) skipped.append(make("li", `and ${count(it.skipped_more)} more`));
  const body = $("samples").tBodies[0];
  const known = new Map([...body.rows].map((row) => [row.dataset.sample, row]));
  for (const one of it.samples) {
    if (!known.has(one.name)) {
      const line = make("tr");
      line.dataset.sample = one.name;
      const head = make("th", one.name);
      head.scope = "row";
      line.append(head, ...Array.from({ length: 9 }, (_, n) => make("td", null, n > 3 || n === 2 ? "r" : "")));
      const share = make("span", null, "mini");
      share.append(make("i"));
      line.cells[4].append(share, make("b"));
      body.append(line);
      known.set(one.name, line);
    }
    fillSample(known.get(one.name), one);
  }
}

function fillSample(line, one) {
  const of = ([done, planned]) => `${count(done)}${planned === null ? "" : ` / ${count(planned)}`}`;
  const pb = ([done, planned]) =>
    `${done === null ? "unknown" : done.toFixed(1)} / ${planned === null ? "?" : planned.toFixed(1)}`;
  const [done, planned] = one.files;
  const texts = [one.label, one.year ?? "?", of(one.files), null, of(one.events),
    one.luminosity_pb ? pb(one.luminosity_pb) : "", one.generated ? of(one.generated) : "", count(one.running), count(one.failed)];
  texts.forEach((text, place) => { if (text !== null) set(line.cells[place + 1], String(text)); });
  line.cells[4].querySelector("i").style.width = `${100 * (planned ? done / planned : 1)}%`;
  set(line.cells[4].querySelector("b"), done ? percent(done, planned) : planned ? "none" : "–");
  line.className = done >= planned ? "whole" : done ? "part" : "none";
  line.cells[9].className = one.failed ? "r bad" : "r";
}

export function problems(it) {
  $("no-problems").hidden = it.groups.length > 0;
  const box = $("problems");
  box.replaceChildren(...it.groups.map((one) => {
    const line = make("button", null, "problem");
    line.type = "button";
    line.append(make("b", one.cause, "cause"), make("span", `${count(one.tasks)} task${one.tasks === 1 ? "" : "s"}`, "n"),
      make("span", one.message, "message"), make("span", `e.g. ${one.example}`, "example"));
    line.onclick = () => problem(one.name);
    return line;
  }));
  if (it.more) box.append(make("p", `and ${count(it.more)} more kinds`));
}

async function problem(name) {
  const answer = await fetch(`api/problem/${name}`);
  if (!answer.ok) return;
  const it = await answer.json();
  const parts = [make("p", `${count(it.tasks)} task${it.tasks === 1 ? "" : "s"}, for example ${it.example}`), make("pre", it.message)];
  if (it.traceback) parts.push(make("pre", it.traceback, "trace"));
  detail(it.cause, parts);
}

export function detail(title, parts) {
  set("detail-title", title);
  $("detail-body").replaceChildren(...parts);
  $("detail").showModal();
}

let rates = [], costs = [];

function facts() {
  $("rates").replaceChildren(...[...rates, ...costs].map(([name, value]) => {
    const pair = make("div");
    pair.append(make("dt", name), make("dd", value));
    return pair;
  }));
}

export function throughput(it) {
  const left = it.left_s === null ? "–" : duration(it.left_s);
  set("speed", rate(it.events_per_s));
  set("speed-small", `events/s${it.left_s === null ? "" : ` · ${left} left`}`);
  rates = [["events/s", rate(it.events_per_s)], ["files/s", rate(it.files_per_s)], ["Gb/s", rate(it.gbit_per_s)],
    ["efficiency", it.efficiency === null ? "unknown" : `${Math.round(100 * it.efficiency)} %`], ["time left", left]];
  facts();
  $("places").replaceChildren(...it.places.map(([name, n]) => {
    const line = make("span", null, "place");
    line.append(make("b", count(n)), ` running at ${name}`);
    return line;
  }));
  if (it.more_places) $("places").append(make("span", `and at ${count(it.more_places)} more places`, "place"));
}

export function cost(it) {
  const money = (value) => value === null ? "unknown" : `${value.toFixed(2)} ${it.currency}`;
  costs = [["cost so far", money(it.so_far)], ["cost at the end", money(it.forecast)]];
  facts();
}
