// The sound of the room: nobody relies on it before somebody has heard it, and it goes on until somebody acknowledges.

import { changed, state } from './state.js';
import { aboutOf, nameOf, unanswered } from './queue.js';
import { t } from './words.js';

const EVERY_MS = 3_000;
const TONES = [
  [880, 0],
  [660, 0.22],
  [880, 0.44],
]; // hertz, seconds after the beginning

let context = null;

/** Somebody heard it, and the browser still lets it through. */
export const soundWorks = () => state.armed && context?.state === 'running';

/** What the bridge rings for and nobody acknowledged. A mute is somebody's word that it may be silent. */
export const ringing = () => unanswered().filter((e) => e.calling && !e.muted_until);

function tone([hertz, after]) {
  const from = context.currentTime + after;
  const source = new OscillatorNode(context, { frequency: hertz, type: 'square' });
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(0.25, from);
  gain.gain.setTargetAtTime(0, from + 0.16, 0.02);
  source.connect(gain).connect(context.destination);
  source.start(from);
  source.stop(from + 0.3);
}

/** Only after a press of a button, as browsers want it. */
export async function tryOut() {
  context ??= new AudioContext();
  context.onstatechange = changed;
  await context.resume();
  TONES.forEach(tone);
}

export function arm(heard) {
  state.armed = heard;
  changed();
}

let rung = 0;

function ring() {
  if (Date.now() - rung < EVERY_MS - 200) return;
  rung = Date.now();
  const due = ringing().length > 0 && !state.lost;
  document.documentElement.classList.toggle('rings', due);
  document.documentElement.dataset.sounding = String(due && soundWorks());
  if (due && soundWorks()) TONES.forEach(tone);
}

const LOW = [
  [330, 0],
  [262, 0.3],
];
let wasLost = false;

/** Two low tones, once: the page has gone blind. */
function tellLoss() {
  if (state.lost && !wasLost && soundWorks()) LOW.forEach(tone);
  wasLost = state.lost;
}

let told = null;

/** New alerts in words, for whoever listens to the page. */
export function speakNews() {
  tellLoss();
  if (!state.board) return;
  const open = ringing();
  const news = open.filter((e) => told !== null && !told.has(`${e.episode}/${e.rank}/${e.unconfirmed}`));
  told = new Set(open.map((e) => `${e.episode}/${e.rank}/${e.unconfirmed}`));
  if (news.length) {
    const said = news.map((e) => t('spoken', { name: nameOf(e), about: aboutOf(e) }));
    document.getElementById('spoken').textContent = said.join('　');
    ring();
  }
}

setInterval(ring, EVERY_MS);
// Browsers slow the timers of a page in the background, not what the server tells it.
document.addEventListener('told', ring);
