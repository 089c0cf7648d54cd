// One socket to the server; it comes back by itself, with pauses that grow to a few seconds.
const FIRST_MS = 250, LONGEST_MS = 3000, SILENT_MS = 60000;

export class Live {
  constructor(query, onSections, onState) {
    this.query = query;
    this.onSections = onSections;
    this.onState = onState;
    this.pause = FIRST_MS;
    this.updates = 0;
    this.wasOpen = false;
  }

  begin() {
    const url = new URL("live", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = this.query();
    url.hash = "";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      this.pause = FIRST_MS;
      this.wasOpen = true;
      this.onState("live");
      this.listen();
    };
    socket.onmessage = (event) => {
      this.listen();
      const message = JSON.parse(event.data);
      if (!message.sections) return;
      this.updates += 1;
      this.onSections(message.sections);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      clearTimeout(this.silence);
      this.onState(this.wasOpen ? "reconnecting" : "connecting");
      setTimeout(() => this.begin(), this.pause * (0.75 + Math.random() / 2));
      this.pause = Math.min(2 * this.pause, LONGEST_MS);
    };
  }

  // A tunnel may die without a word: the server says something every few seconds.
  listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.socket.close(), SILENT_MS);
  }

  select(selection) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ select: selection }));
    }
  }
}
