// Runs the page's script against a real API, in a document that knows as little as the script needs: there is no browser
// here. Reads one step a line from stdin, {"do": ..., ...}, and answers each with what the page shows.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import vm from "node:vm";

const [base, path, html, script] = process.argv.slice(2);

class Element {
  constructor(name) {
    Object.assign(this, { name, own: "", value: "", className: "", hidden: false, disabled: false });
    Object.assign(this, { children: [], listeners: {}, attributes: {} });
  }
  get textContent() {
    return this.own + this.children.map((child) => child.textContent).join("|");
  }
  set textContent(text) {
    this.own = String(text);
    this.children = [];
  }
  append(...children) {
    this.children.push(...children);
  }
  replaceChildren(...children) {
    this.own = "";
    this.children = children;
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }
  focus() {}
  fire(name) {
    return this.listeners[name]({ preventDefault() {}, button: 0 });
  }
}

const found = {};
for (const [, name, attributes] of readFileSync(html, "utf8").matchAll(/<(\w+)([^>]*)>/g)) {
  const id = /\bid="([^"]+)"/.exec(attributes);
  if (id) {
    found[id[1]] = new Element(name);
    found[id[1]].hidden = /\bhidden\b/.test(attributes);
  }
}
const location = { pathname: path };
const timers = [];
const requests = [];
let pending = 0;
const world = {
  document: { title: "", getElementById: (id) => found[id], createElement: (name) => new Element(name) },
  location,
  history: { pushState: (state, title, to) => (location.pathname = to) },
  addEventListener() {},
  setTimeout: (work, ms) => timers.push({ work, ms }),
  clearTimeout() {
    timers.length = 0;
  },
  fetch: async (to, options) => {
    requests.push({ to, credentials: options.credentials });
    pending++;
    try {
      return await fetch(base + to, { method: options.method, headers: options.headers, body: options.body });
    } finally {
      pending--;
    }
  },
  console,
  Date,
  JSON,
};
vm.runInNewContext(readFileSync(script, "utf8"), world);

async function settle() {
  for (let quiet = 0; quiet < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    quiet = pending ? 0 : quiet + 1;
  }
}

const doings = {
  start() {},
  sign_in({ key }) {
    found.key.value = key;
    found["sign-in"].fire("submit");
  },
  acknowledge({ note }) {
    found["new-note"].value = note;
    found.acknowledge.fire("submit");
  },
  snooze({ hours }) {
    found.hours.value = hours;
    found.snooze.fire("submit");
  },
  wake() {
    found.wake.fire("click");
  },
  all() {
    found.all.fire("click");
  },
  open({ number }) {
    found.alerts.children[number].children.find((child) => child.name === "a").fire("click");
  },
  type({ note }) {
    found["new-note"].value = note;
  },
  later() {
    timers.pop().work();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  doings[step.do](step);
  await settle();
  const shown = {};
  for (const [id, element] of Object.entries(found)) {
    shown[id] = { text: element.textContent, hidden: element.hidden, value: element.value };
  }
  const answer = { shown, title: world.document.title, path: location.pathname, requests, waits: timers.map((t) => t.ms) };
  console.log(JSON.stringify(answer));
}
process.exit(0);
