// What people decide: asked once with its consequence, sent to the bridge, and its answer shown, also a refusal.

import { changed, state } from './state.js';
import { t, named } from './words.js';
import { send } from './api.js';
import { ask, say } from './asking.js';
import { h } from './dom.js';
import { forget } from './fetched.js';
import { refresh } from './live.js';
import { measure } from './figures.js';
import { aboutOf, claimed, nameOf, together, unanswered } from './queue.js';
import { why } from './refusals.js';
import { claim, levelOf } from './standing.js';

const BASES = ['camera', 'patrol', 'phone', 'office'];
const HOURS = [1, 2, 4, 8, 12];

export const episode = (id) => state.board.episodes.find((e) => e.episode === id);
// Nothing is chosen beforehand: what it rests on is a person's word.
const basis = () => ({
  name: 'basis',
  label: t('basis'),
  kind: 'choice',
  required: true,
  choices: [['', t('choose')], ...BASES.map((x) => [x, t(`basis_${x}`)])],
});
const note = (required = false) => ({ name: 'note', label: t('note'), kind: 'area', required });

const AGAIN = [undefined, 429, 503]; // what may be taken a little later

/** Sends an act and shows what came of it. True: done. */
export async function perform(body, busy = body.kind, path = 'acts') {
  state.busy.add(busy);
  changed();
  try {
    const got = await send(path, body);
    const fates = got.acts ?? [got];
    const refused = fates.filter((x) => x.state === 'refused');
    forget();
    refresh();
    if (refused.length) {
      const body = h('ul', { class: 'meant' }, refused.map((x) => h('li', {}, `${nameOf(episode(x.episode) ?? { station: x.episode })}　${why(x.answer)}`)));
      await say(t('refused_some', { n: refused.length, all: fates.length }), '', body);
    } else announce(fates.some((x) => x.state === 'asked') ? t('asked') : t('done'));
    return !refused.length;
  } catch (e) {
    if (e.code === 'refused') await say(t('refused'), why({ ...e.refusal, reason: e.message }));
    else await say(t(AGAIN.includes(e.status) ? 'not_sent' : 'refused'), e.status ? e.message : t('no_server_act'));
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

export const unsay = () => (document.getElementById('announced').hidden = true);

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
  // What has risen since the question was asked is not meant any more; the server looks once more.
  const still = meant.filter((e) => episode(e.episode) && together(episode(e.episode)));
  for (const tenant of new Set(still.map((e) => e.tenant))) {
    const episodes = still.filter((e) => e.tenant === tenant).map((e) => e.episode);
    await perform({ tenant, episodes }, 'together', 'acts/acknowledge');
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
  // The bridge closes what still stands high only where somebody says so, and why.
  const force = claimed(e) >= 3;
  const sentence = (force ? t('close_high', { level: named(e.level) }) : '') + t('close_sentence', { n: e.told }) + value;
  const verb = force ? t('close_anyway') : t('close');
  const said = await ask({ title: about(e), sentence, fields: [basis(), note(true)], verbs: [['yes', verb]] });
  if (said) await perform({ kind: 'close', ...aim(e), basis: said.basis, note: said.note, force }, `close${id}`);
}

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
  // The bridge hides what stands high only where somebody says so, and why.
  const force = kind === 'maintenance' && row !== undefined && claim(row) >= 2;
  const sentence = (force ? t('maintenance_high', { level: named(levelOf(claim(row), row.level?.key)) }) : '') + t(`${kind}_sentence`);
  const verb = t(force ? 'maintenance_anyway' : kind);
  const said = await ask({ title: `${name}　${t(kind)}`, sentence, fields: [hours, note(true)], verbs: [['yes', verb]] });
  if (said) await perform({ kind, tenant, station, for_s: Number(said.hours) * 3600, note: said.note, ...(force ? { force } : {}) });
}

export const mute = (place) => suspend('mute', place);
export const maintenance = (place) => suspend('maintenance', place);

export async function endSuspension(place, kind) {
  const [tenant, station] = place.split('/');
  const ending = kind === 'mute' ? 'unmute' : 'maintenance_end';
  const said = await ask({ title: t(ending), sentence: t(`${ending}_sentence`), verbs: [['yes', t(ending)]] });
  if (said) await perform({ kind: ending, tenant, station });
}

export async function endDrill(id) {
  const e = episode(id);
  const said = await ask({ title: nameOf(e), sentence: t('drillend_sentence'), verbs: [['yes', t('drillend')]] });
  if (said) await perform({ kind: 'drill_end', tenant: e.tenant, station: e.station });
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
  const at_ms = said.at ? Date.parse(`${said.at}:00+09:00`) : null;
  await perform({ kind: 'write', what: said.what, text: said.note, at_ms, tenant: owner || null, station: where ?? '' });
}
