// What a person asked for and the agent has not answered yet, one after the other. Nothing is dropped: what the agent cannot
// answer now is asked again until it can.

/// How soon it is asked again.
const AGAIN_MS = 1000;

const waiting = [];
let isRunning = false;
let changed = () => {};

/// Says what to do when the list of what waits has changed.
export const onQueue = (act) => { changed = act; };

/// The texts of what waits, the next first.
export const queued = () => waiting.map((job) => job.text);

/// Does `work` when everything before it is done; it says whether it is done itself.
export function enqueue(text, work) {
  waiting.push({ text, work });
  changed();
  if (!isRunning) run();
}

async function run() {
  isRunning = true;
  while (waiting.length > 0) {
    if (await waiting[0].work()) waiting.shift();
    else await new Promise((wake) => setTimeout(wake, AGAIN_MS));
    changed();
  }
  isRunning = false;
}
