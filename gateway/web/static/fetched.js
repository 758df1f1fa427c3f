// What a view asks for beside the board: kept for a while, asked again while somebody looks, and never twice at once.

import { read } from './api.js';
import { anew } from './live.js';
import { changed } from './state.js';

const MOST = 60;
let turn = 0; // how often all was forgotten
const kept = new Map(); // path -> {data, error, at, asking}

/** {data, error} of a path, as it is known now; whoever draws is told when there is more. */
export function fetched(path, every = 30_000) {
  const found = kept.get(path) ?? { data: null, error: null, at: 0, asking: false };
  kept.delete(path);
  kept.set(path, found);
  if (kept.size > MOST) kept.delete(kept.keys().next().value);
  if (!found.asking && Date.now() - found.at > every) ask(path, found);
  return found;
}

async function ask(path, found) {
  found.asking = true;
  const asked = turn;
  try {
    found.data = await read(path);
    found.error = null;
  } catch (e) {
    found.error = e;
    if (e.code === 'unauthenticated') anew();
  } finally {
    found.at = asked === turn ? Date.now() : 0; // what was asked before an act may be of before it
    found.asking = false;
    changed();
  }
}

/** After an act: what was known may be otherwise. */
export function forget() {
  turn += 1;
  for (const found of kept.values()) found.at = 0;
}
