// The page: wires the sections that come over the socket to what shows them.
import { Live } from "./live.js";
import * as choice from "./choice.js";
import { Plots } from "./plots.js";
import * as show from "./show.js";
import { Ledger } from "./ledger.js";

const plots = new Plots();
const ledger = new Ledger();

const takers = {
  overview: (it) => { show.overview(it); ledger.stir(); },
  choices: choice.offer,
  frame: (it) => { plots.frame(it); show.frame(it); },
  legend: show.legend,
  history: (it) => plots.fill("history", it),
  speed: (it) => plots.fill("speed", it),
  completeness: (it) => { show.completeness(it); ledger.samples(it.samples); },
  problems: show.problems,
  throughput: show.throughput,
  cost: show.cost,
  following: show.following,
};

const live = new Live(choice.query, (sections) => {
  for (const [name, section] of Object.entries(sections)) {
    if (name.startsWith("source:")) plots.fill(name.slice(7), section);
    else takers[name]?.(section);
  }
  plots.describe();
}, show.link);

function dress() {
  document.documentElement.dataset.theme = choice.state.theme;
  document.body.classList.toggle("stage", choice.state.stage);
  show.choice(choice.state);
}

choice.begin((what) => {
  dress();
  if (what === "look") plots.redraw(choice.state);
  else live.select(choice.selection());
  show.links(choice.query());
});
plots.onZoom = (zoomed) => { document.getElementById("zoom-reset").disabled = !zoomed; };
document.getElementById("zoom-in").onclick = () => plots.zoom(0.6);
document.getElementById("zoom-out").onclick = () => plots.zoom(1 / 0.6);
document.getElementById("zoom-signal").onclick = () => plots.look(100, 150);
document.getElementById("zoom-reset").onclick = () => plots.whole();

dress();
show.links(choice.query());
ledger.begin();
live.begin();
await plots.redraw(choice.state);
window.higgsdemo = { plots, live, choice }; // for tests and the curious
