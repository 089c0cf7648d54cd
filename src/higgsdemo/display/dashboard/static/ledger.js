// The ledger as a table: a page at a time from the server, searched and sorted there.
import { detail } from "./show.js";
import { options } from "./choice.js";
import { bytes, count, make } from "./words.js";

const $ = (id) => document.getElementById(id);
const COLUMNS = [
  ["number", "no."], ["label", "task"], ["sample", "sample"], ["state", "state"],
  ["tries", "failed tries"], ["files", "files"], ["events", "events"], ["size_bytes", "size"],
];
const ROWS = 25, TYPING_MS = 200, STIR_MS = 2000;

export class Ledger {
  constructor() {
    this.wanted = { text: "", state: "", sample: "", order: "number", descending: false, page: 0 };
    this.total = 0;
    this.asked = 0;
  }

  begin() {
    const head = $("tasks").tHead.rows[0];
    for (const [name, text] of COLUMNS) {
      const cell = make("th");
      cell.scope = "col";
      const button = make("button", text);
      button.type = "button";
      button.onclick = () => this.sort(name, cell);
      cell.append(button);
      head.append(cell);
    }
    $("text").oninput = () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => { this.wanted.text = $("text").value; this.turn(0); }, TYPING_MS);
    };
    for (const id of ["state", "sample"]) $(id).onchange = () => { this.wanted[id] = $(id).value; this.turn(0); };
    $("search").onsubmit = (event) => event.preventDefault();
    $("first").onclick = () => this.turn(0);
    $("previous").onclick = () => this.turn(this.wanted.page - 1);
    $("next").onclick = () => this.turn(this.wanted.page + 1);
    $("last").onclick = () => this.turn(Infinity);
    new IntersectionObserver((seen) => {
      this.visible = seen.at(-1).isIntersecting;
      if (this.visible) this.load();
    }).observe($("tasks"));
  }

  sort(name, cell) {
    this.wanted.descending = this.wanted.order === name && !this.wanted.descending;
    this.wanted.order = name;
    for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", this.wanted.descending ? "descending" : "ascending");
    this.turn(0);
  }

  samples(samples) {
    options($("sample"), [["", "any"], ...samples.map((one) => [one.name, one.name])], this.wanted.sample);
  }

  turn(page) {
    const last = Math.max(0, Math.ceil(this.total / ROWS) - 1);
    this.wanted.page = Math.max(0, Math.min(page, last));
    this.load();
  }

  // Something changed in the run: look again, but not more often than one can read.
  stir() {
    if (this.waiting || !this.visible) return;
    this.waiting = setTimeout(() => { this.waiting = null; this.load(); }, STIR_MS);
  }

  async load() {
    const asked = ++this.asked;
    const words = new URLSearchParams({ ...this.wanted, descending: +this.wanted.descending, rows: ROWS });
    let page;
    try {
      const answer = await fetch("api/tasks?" + words);
      if (!answer.ok) return;
      page = await answer.json();
    } catch { return; } // the server is away: there will be a next time
    if (asked !== this.asked) return;
    this.show(page);
  }

  show(page) {
    this.total = page.total;
    const body = $("tasks").tBodies[0];
    const held = document.activeElement?.dataset?.task;
    body.replaceChildren(...page.rows.map((row) => this.row(row)));
    if (held) body.querySelector(`[data-task="${held}"]`)?.focus();
    const before = this.wanted.page * ROWS;
    $("found").textContent = `${count(page.total)} task${page.total === 1 ? "" : "s"}`;
    $("page").textContent = `${count(page.total ? before + 1 : 0)}–${count(before + page.rows.length)} of ${count(page.total)}`;
    $("first").disabled = $("previous").disabled = this.wanted.page === 0;
    $("next").disabled = $("last").disabled = before + ROWS >= page.total;
  }

  row(row) {
    const open = make("button", row.label, "open");
    open.type = "button";
    open.dataset.task = row.id;
    open.onclick = () => this.open(row.id);
    const label = make("td"), state = make("td");
    label.append(open);
    state.append(make("span", row.cause ?? row.state, `chip ${row.state}`));
    const line = make("tr");
    const right = (value, words = count) => make("td", value === null ? "" : words(value), "r");
    line.append(right(row.number + 1), label, make("td", row.sample), state, right(row.tries), right(row.files),
      right(row.events), right(row.size_bytes, bytes));
    return line;
  }

  async open(id) {
    const answer = await fetch(`api/task/${encodeURIComponent(id)}`);
    if (!answer.ok) return;
    const task = await answer.json();
    const parts = [make("p", `Task ${task.id} of ${task.sample}: ${task.cause ?? task.state}, ${count(task.tried)} attempt${task.tried === 1 ? "" : "s"}.`)];
    for (const one of task.attempts) {
      const took = one.ended === null ? "" : ` after ${(one.ended - one.started).toFixed(1)} s`;
      parts.push(make("h3", `${new Date(one.started * 1000).toLocaleTimeString()} at ${one.place}: ${one.outcome ?? "running"}${took}`));
      if (one.message) parts.push(make("pre", one.message));
      if (one.traceback) parts.push(make("pre", one.traceback, "trace"));
    }
    detail(task.label, parts);
  }
}
