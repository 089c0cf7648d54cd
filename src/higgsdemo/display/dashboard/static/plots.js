// The three figures: embedded empty, their sources filled by name with what came last.
const $ = (id) => document.getElementById(id);
const FLOOR = 0.01; // events: the lower end of a logarithmic ordinate
const PLACES = { spectrum: "plot", significance: "history", speed: "speed-plot" };

export class Plots {
  constructor() {
    this.columns = {}; // source name -> latest columns
    this.models = {}; // name -> model, of the figures that are there now
    this.views = [];
    this.zoomed = false;
    this.onZoom = () => {};
    this.asked = 0;
  }

  // Ask for figures of another look and put them in place of the old ones.
  async redraw(state) {
    const asked = ++this.asked;
    const look = { dark: +(state.theme === "dark"), log: +(state.scale === "log"), stage: +state.stage };
    const items = await this.figures(new URLSearchParams(look), asked);
    if (!items) return;
    const kept = this.zoomed ? [this.models.x.start, this.models.x.end] : null;
    for (const view of this.views) view.clear?.();
    this.views = [];
    this.models = {};
    this.log = state.scale === "log";
    for (const [name, item] of Object.entries(items)) {
      const place = $(PLACES[name]);
      place.replaceChildren();
      const view = await Bokeh.embed.embed_item(item, place);
      if (asked !== this.asked) return;
      this.views.push(view);
      for (const model of Bokeh.documents.at(-1)._all_models.values()) {
        if (model.name) this.models[model.name] = model;
      }
    }
    this.models.spectrum.on_event("rangesupdate", () => this.note(true));
    this.models.spectrum.on_event("reset", () => this.whole());
    if (this.latest) this.frame(this.latest);
    if (kept) this.look(...kept);
    for (const [name, columns] of Object.entries(this.columns)) this.put(name, columns);
  }

  async figures(words, asked) {
    for (let pause = 250; asked === this.asked; pause = Math.min(2 * pause, 3000)) {
      try {
        const answer = await fetch("figures?" + words);
        if (answer.ok) return answer.json();
      } catch { /* the server is away: again */ }
      await new Promise((done) => setTimeout(done, pause));
    }
    return null;
  }

  fill(name, columns) {
    this.columns[name] = columns;
    this.put(name, columns);
  }

  put(name, columns) {
    const source = this.models[`source-${name}`];
    if (source) source.data = columns;
  }

  frame(frame) {
    const before = this.latest;
    this.latest = frame;
    if (!this.models.spectrum) return;
    for (const [name, label] of [["x-axis", frame.x_label], ["y-axis", frame.y_label]]) {
      const axis = this.models[name];
      if (axis.axis_label !== label) axis.axis_label = label;
    }
    const [left, right] = frame.window ?? [0, 0];
    const window = this.models.window;
    if (window.left !== left || window.right !== right) window.setv({ left, right });
    if (before && before.variable !== frame.variable) this.note(false);
    if (!this.zoomed) this.whole();
  }

  whole() {
    this.note(false);
    if (!this.latest) return;
    const [start, end] = this.latest.x;
    move(this.models.x, start, end);
    move(this.models.y, this.log ? FLOOR : 0, this.log ? this.latest.y_log : this.latest.y_linear);
  }

  look(start, end) {
    move(this.models.x, start, end);
    this.note(true);
  }

  zoom(factor) {
    const { start, end } = this.models.x;
    const around = start < 125 && 125 < end ? 125 : (start + end) / 2;
    const [low, high] = this.latest ? this.latest.x : [start, end];
    const to = [Math.max(low, around - (around - start) * factor), Math.min(high, around + (end - around) * factor)];
    if (to[0] === low && to[1] === high) this.whole();
    else this.look(...to);
  }

  note(zoomed) {
    this.zoomed = zoomed;
    this.onZoom(zoomed);
  }

  describe() {
    const { data, total, left } = this.columns.hover ?? {};
    if (!total) return;
    const sum = (values) => values.reduce((a, b) => a + b, 0);
    $("plot").setAttribute("aria-label", `Stacked histogram of ${left.length} bins: ${sum(data)} events seen, `
      + `${sum(total).toFixed(1)} simulated. The table beside it has the numbers.`);
  }
}

function move(range, start, end) {
  if (range.start !== start || range.end !== end) range.setv({ start, end });
}
