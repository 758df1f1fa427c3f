// What is shown follows the server: a stream of events, or questions where a proxy holds it back. What nobody has
// confirmed for 30 s is no longer shown as the present.

import { address, read } from './api.js';
import { changed, state } from './state.js';

const LOST_MS = 30_000;
const QUIET_MS = 12_000; // the stream says nothing: it is asked beside it
const DEAD_MS = 45_000; // the stream says nothing: it is opened anew
const CHECK_MS = 1_000;
const AGAIN_MS = [1_000, 2_000, 5_000, 10_000];

let source = null;
let failures = 0;
let asking = false;
let asked = 0;
let streamed = 0; // our clock, ms, when the stream last spoke or was opened

function heard() {
  state.heard = Date.now();
  if (state.lost) {
    state.lost = false;
    changed();
  }
}

function take(board) {
  const at = Date.parse(board.now);
  // An answer overtaken by the stream is not the present.
  if (state.board && at < Date.parse(state.board.now) && Date.now() - state.heard < LOST_MS) return;
  state.board = board;
  state.out = false;
  state.ahead = at - Date.now();
  heard();
  changed();
  document.dispatchEvent(new Event('told'));
}

function connect() {
  source?.close();
  streamed = Date.now();
  source = new EventSource(address('events'));
  source.addEventListener('board', (event) => {
    failures = 0;
    streamed = Date.now();
    take(JSON.parse(event.data));
  });
  source.addEventListener('beat', () => {
    streamed = Date.now();
    heard();
  });
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return; // it comes again by itself, with its Last-Event-ID
    setTimeout(connect, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]);
  };
}

async function ask() {
  asking = true;
  asked = Date.now();
  try {
    take(await read('board'));
  } catch (e) {
    if (e.status === 401 || e.status === 403) {
      state.out = true; // a banner says so
      changed();
    }
  } finally {
    asking = false;
  }
}

function check() {
  const silence = Date.now() - state.heard;
  if (Date.now() - streamed > DEAD_MS) connect();
  if (!asking && silence > QUIET_MS && Date.now() - asked > Math.min(QUIET_MS, 5_000)) ask();
  if (!state.lost && state.heard && silence > LOST_MS) {
    state.lost = true;
    changed();
  }
}

export function listen() {
  connect();
  ask();
  setInterval(check, CHECK_MS);
}

let renewed = false;

/** Somebody was told to log in: the stream may not know yet. Once, because logging in loads the page anew. */
export function anew() {
  if (renewed || state.out) return;
  renewed = true;
  connect();
  ask();
}

/** After an act: what came of it, at once. */
export const refresh = () => (asking ? undefined : ask());
