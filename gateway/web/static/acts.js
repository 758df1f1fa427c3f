// What people decide: asked once with its consequence, sent to the bridge, and its answer shown, also a refusal.

import { changed, state } from './state.js';
import { t, named } from './words.js';
import { send } from './api.js';
import { ask, say } from './asking.js';
import { h } from './dom.js';
import { refresh } from './live.js';
import { measure } from './figures.js';
import { aboutOf, nameOf, together, unanswered } from './queue.js';

const BASES = ['camera', 'patrol', 'phone', 'office'];
const HOURS = [1, 2, 4, 8, 12];

export const episode = (id) => state.board.episodes.find((e) => e.episode === id);
const basis = () => ({ name: 'basis', label: t('basis'), kind: 'choice', choices: BASES.map((x) => [x, t(`basis_${x}`)]) });
const note = (required = false) => ({ name: 'note', label: t('note'), kind: 'area', required });

/** Why it was not done, in the bridge's words if it has said any. */
const reason = (answer) => answer?.reason || answer?.refused || answer?.detail || (typeof answer === 'string' ? answer : t('no_reason'));

/** Sends an act and shows what came of it. True: done. */
export async function perform(body, busy = body.kind) {
  state.busy.add(busy);
  changed();
  try {
    const got = await send('acts', body);
    if (got.state === 'refused') await say(t('refused'), reason(got.answer));
    else announce(got.state === 'asked' ? t('asked') : t('done'));
    refresh();
    return got.state !== 'refused';
  } catch (e) {
    await say(t('not_sent'), e.status ? e.message : t('no_server'));
    return false;
  } finally {
    state.busy.delete(busy);
    changed();
  }
}

let fading = null;

/** A line that goes by itself; what must be read is a question. */
export function announce(text) {
  const line = document.getElementById('announced') ?? document.body.appendChild(h('p', { id: 'announced', role: 'status' }));
  line.textContent = text;
  line.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => (line.hidden = true), 6000);
}

const about = (e) => `${nameOf(e)}　${aboutOf(e)}`;
const aim = (e) => ({ tenant: e.tenant, episode: e.episode });

export async function acknowledge(id) {
  const e = episode(id);
  const role = named(e.calling?.role);
  const sentence = e.calling?.active && role ? t('ack_stops_calls', { role }) : t('ack_recorded');
  const said = await ask({ title: about(e), sentence, fields: [note()], verbs: [['yes', t('acknowledge')]] });
  if (said) await perform({ kind: 'acknowledge', ...aim(e), note: said.note }, `acknowledge${id}`);
}

export async function acknowledgeTogether() {
  const meant = unanswered().filter(together);
  const body = h('ul', { class: 'meant' }, meant.map((e) => h('li', {}, about(e))));
  const sentence = t('together_sentence', { n: meant.length });
  const said = await ask({ title: t('together', { n: meant.length }), sentence, body, verbs: [['yes', t('acknowledge')]] });
  if (!said) return;
  for (const e of meant) {
    // What has risen since the question was asked is not meant any more.
    const current = episode(e.episode);
    if (current && together(current) && !(await perform({ kind: 'acknowledge', ...aim(e) }, `acknowledge${e.episode}`))) return;
  }
}

export async function judge(id) {
  const e = episode(id);
  const verbs = [
    ['confirm', t('confirm')],
    ['reject', t('reject'), 'other'],
  ];
  const sentence = t('judge_sentence', { n: e.told });
  const said = await ask({ title: about(e), sentence, fields: [basis(), note()], verbs });
  if (!said) return;
  if (said.verb === 'reject') {
    const sure = await ask({ title: about(e), sentence: t('reject_sentence', { n: e.told }), verbs: [['yes', t('reject')]] });
    if (!sure) return;
  }
  await perform({ kind: said.verb, ...aim(e), basis: said.basis, note: said.note }, `judge${id}`);
}

export async function close(id) {
  const e = episode(id);
  const value = e.value === null ? '' : t('close_value', { value: measure(e.value, e.unit) });
  const sentence = t('close_sentence', { n: e.told }) + value;
  const said = await ask({ title: about(e), sentence, fields: [basis(), note(true)], verbs: [['yes', t('close')]] });
  if (said) await perform({ kind: 'close', ...aim(e), basis: said.basis, note: said.note }, `close${id}`);
}

const until = (hours) => new Date(Date.now() + state.ahead + hours * 3_600_000).toISOString();

async function suspend(kind, place) {
  const [tenant, station] = place.split('/');
  const row = state.board.stations.find((x) => x.tenant === tenant && x.station === station);
  const name = named(row?.name) || station;
  const hours = {
    name: 'hours',
    label: t('how_long'),
    kind: 'choice',
    value: '2',
    choices: HOURS.map((n) => [String(n), t('span_hours', { n })]),
  };
  const verb = t(kind);
  const said = await ask({ title: `${name}　${verb}`, sentence: t(`${kind}_sentence`), fields: [hours, note(true)], verbs: [['yes', verb]] });
  if (said) await perform({ kind, tenant, station, until: until(Number(said.hours)), note: said.note });
}

export const mute = (place) => suspend('mute', place);
export const maintenance = (place) => suspend('maintenance', place);

export async function endSuspension(place, kind) {
  const [tenant, station] = place.split('/');
  const ending = kind === 'mute' ? 'unmute' : 'maintenance_end';
  const said = await ask({ title: t(ending), sentence: t(`${ending}_sentence`), verbs: [['yes', t(ending)]] });
  if (said) await perform({ kind: ending, tenant, station });
}

const MANUAL = ['bulletin', 'order', 'call', 'patrol', 'camera', 'closure', 'reopening', 'other'];

/** An entry of the journal, also a bulletin or an order that came by telephone or fax. */
export async function entry(place = '') {
  const [tenant, station] = place.split('/');
  const kinds = { name: 'what', label: t('entry_kind'), kind: 'choice', choices: MANUAL.map((x) => [x, t(`entry_${x}`)]) };
  const stations = {
    name: 'place',
    label: t('entry_place'),
    kind: 'choice',
    value: station ? `${tenant}/${station}` : '',
    choices: [['', t('entry_nowhere')], ...state.board.stations.map((row) => [`${row.tenant}/${row.station}`, named(row.name)])],
  };
  const text = { name: 'note', label: t('entry_text'), kind: 'area', required: true };
  const time = { name: 'at', label: t('entry_time'), kind: 'time' };
  const said = await ask({
    title: t('enter'),
    sentence: t('entry_sentence'),
    fields: [kinds, text, time, stations],
    verbs: [['yes', t('enter')]],
  });
  if (!said) return;
  const [owner, where] = said.place.split('/');
  const at = said.at ? new Date(`${said.at}:00+09:00`).toISOString() : null;
  await perform({ kind: 'note', what: said.what, note: said.note, at, tenant: owner || null, station: where ?? null });
}

