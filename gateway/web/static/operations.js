// Operations: what becomes of every device's samples, how the devices are, what was not understood, what the house says.

import { h } from './dom.js';
import { mayAct, now } from './state.js';
import { known, t } from './words.js';
import { fetched } from './fetched.js';
import { age, date, ms, span, when } from './figures.js';
import { ask } from './asking.js';
import { perform } from './acts.js';
import { read } from './api.js';
import { NOTICES, REJECTS, meaning } from './codes.js';

const percent = (x) => (x === null || x === undefined ? t('none') : `${(Math.floor(x * 10_000) / 100).toFixed(2)} %`);
const clockOf = (s) => (s === null || s === undefined ? t('none') : Math.abs(s) < 0.5 ? t('clock_right') : `${s > 0 ? '+' : '−'}${Math.abs(s) < 120 ? `${Math.abs(s).toFixed(1)} s` : span(Math.abs(s) * 1000)}`);
const megabytes = (n) => `${(n / 1e6).toFixed(0)} MB`;

/** 99.95 %（欠 3） of what a device assigned. */
export function completeness(device) {
  if (!device.accounted) return t('not_accounted');
  const { samples } = device;
  const lost = samples.gone + samples.rejected + samples.unknown;
  const parts = [lost ? t('samples_lost', { n: lost }) : '', samples.held ? t('samples_held', { n: samples.held }) : ''].filter(Boolean);
  return `${percent(device.completeness)}${parts.length ? `（${parts.join(t('comma'))}）` : ''}`;
}

const health = (device, name) => device.health?.[name]?.value ?? null;

function deviceRow(device) {
  const newest = ms(device.newest);
  const battery = health(device, 'battery_voltage');
  return h(
    'tr',
    { 'data-key': `${device.tenant}/${device.device}`, class: device.state === 'offline' ? 'away' : '' },
    h('th', { scope: 'row' }, device.device, h('small', {}, ` ${device.stations.join('、')}`)),
    h('td', {}, t(`device_${known(`device_${device.state}`) ? device.state : 'unknown'}`)),
    h('td', {}, completeness(device)),
    h('td', {}, newest === null ? t('never') : age(Math.max(0, now() - newest))),
    h('td', {}, clockOf(health(device, 'clock_offset'))),
    h('td', {}, device.spool?.hours === null || device.spool?.hours === undefined ? t('none') : span(device.spool.hours * 3_600_000)),
    h('td', {}, battery === null ? t('none') : `${battery.toFixed(1)} V`),
  );
}

const heads = (keys) => h('thead', {}, h('tr', {}, keys.map((key) => h('th', { scope: 'col' }, t(key)))));

// A wide table scrolls on a phone, by the keyboard too.
const scrolls = (key) => ({ class: 'scroll', tabindex: '0', role: 'region', 'aria-label': t(key) });

function devices() {
  const { data, error } = fetched('devices', 30_000);
  if (!data) return h('p', { class: 'notice' }, error ? t('not_read', { why: error.message }) : t('reading'));
  const rows = [...data.devices].sort((a, b) => (a.state === 'offline' ? 0 : 1) - (b.state === 'offline' ? 0 : 1) || (a.completeness ?? 1) - (b.completeness ?? 1));
  const columns = ['head_device', 'head_state', 'head_complete', 'head_newest', 'head_clock', 'head_spool', 'head_battery'];
  return h('div', scrolls('devices'), h('table', { class: 'plain' }, heads(columns), h('tbody', {}, rows.map(deviceRow))));
}

/** Of a context broker: runs, or how many wait since when and why, and how many were refused. */
function orion({ waiting, since, reason, refused }) {
  const n = Object.values(refused).reduce((sum, x) => sum + x, 0);
  const waits = reason ? t('orion_waits', { n: waiting, since: when(ms(since), now()), why: reason }) : t('runs');
  return n ? `${waits}　${t('orion_refused', { n })}` : waits;
}

/** Of the feed of bulletins: heard when, or why not, and how many documents nobody could read. */
function bulletins({ heard, unheard, reason, fates }) {
  const n = (fates.unreadable ?? 0) + (fates.unfetched ?? 0);
  const at = heard ? t('heard_at', { at: when(ms(heard), now()) }) : '';
  return [unheard && t('unheard_why', { why: reason ?? '' }), at, n && t('unread', { n })].filter(Boolean).join('　');
}

function house() {
  const { data, error } = fetched('health', 15_000);
  if (!data) return h('p', { class: 'notice' }, error ? t('not_read', { why: error.message }) : t('reading'));
  const received = ms(data.bridge.received);
  const line = (name, text, bad = false) => h('li', { 'data-key': name }, h('b', {}, `${t(name)}　`), bad ? h('b', { class: 'tag' }, text) : text);
  return h(
    'ul',
    { class: 'house' },
    line('house_bridge', data.bridge.running === false ? t('bridge_halt') : `${t('runs')}　${received === null ? '' : age(Math.max(0, now() - received))}`, data.bridge.running === false),
    line('house_influx', data.influx ? (data.influx.behind > 1000 ? t('influx_behind', { n: data.influx.behind }) : t('runs')) : t('not_used'), (data.influx?.behind ?? 0) > 1000),
    data.orion && line('house_orion', orion(data.orion), Boolean(data.orion.reason)),
    data.bulletins && line('house_bulletins', bulletins(data.bulletins), data.bulletins.unheard),
    line('house_store', data.store.ceiling ? t('store_of', { used: megabytes(data.store.bytes), all: megabytes(data.store.ceiling) }) : megabytes(data.store.bytes)),
    line('house_media', data.media.length ? data.media.map((m) => t('media_owed', { medium: m.medium, n: m.owed, since: when(ms(m.oldest), now()) })).join('、') : t('media_fine'), data.media.length > 0),
    data.notices.map((n) =>
      h('li', { 'data-key': `${n.code}${n.device}` }, h('b', { class: 'tag' }, meaning(NOTICES, n.code, t('notice_other'))), ` ${n.device ?? ''} ${n.detail ?? ''}　${date(ms(n.since))}`),
    ),
  );
}

function letters() {
  const { data, error } = fetched('letters?limit=100', 30_000);
  if (!data) return h('p', { class: 'notice' }, error ? t('not_read', { why: error.message }) : t('reading'));
  if (!data.letters.length) return h('p', {}, t('no_letters'));
  const button = (act, number, label) => h('button', { type: 'button', 'data-act': act, 'data-number': number }, label);
  return [
    h('p', { class: 'small' }, Object.entries(data.codes).map(([code, n]) => `${meaning(REJECTS, code, code)} ${n}`).join('　')),
    h(
      'div',
      scrolls('letters'),
      h(
        'table',
        { class: 'plain' },
        heads(['head_time', 'head_device', 'head_why', 'head_count', 'head_deeds']),
        h(
          'tbody',
          {},
          data.letters.map((x) =>
            h('tr', { 'data-key': x.number }, h('td', {}, date(ms(x.received))), h('td', {}, x.device || x.topic), h('td', { class: 'text' }, meaning(REJECTS, x.code, x.meaning), x.detail ? h('small', {}, ` ${x.detail}`) : ''), h('td', {}, x.count), h('td', {}, button('explain', x.number, t('explain')), mayAct() && button('replay', x.number, t('replay')))),
          ),
        ),
      ),
    ),
  ];
}

export function view() {
  return [
    h('h2', {}, t('view_operations')),
    h('section', {}, h('h3', {}, t('house')), house()),
    h('section', {}, h('h3', {}, t('devices')), devices()),
    h('section', {}, h('h3', {}, t('letters')), h('p', { class: 'small' }, t('letters_what')), letters()),
  ];
}

async function explain(button) {
  const { number } = button.dataset;
  let found;
  try {
    found = await read(`letters/${number}`);
  } catch (e) {
    await ask({ title: t('explain'), sentence: e.message, verbs: [['yes', t('understood')]] });
    return;
  }
  const body = h('div', {}, h('p', {}, t('remedy'), found.remedy ?? t('none')), h('pre', {}, found.payload ?? ''));
  await ask({ title: meaning(REJECTS, found.code, found.meaning), sentence: found.detail, body, verbs: [['yes', t('understood')]] });
}

async function replay(button) {
  const number = Number(button.dataset.number);
  const said = await ask({ title: t('replay'), sentence: t('replay_sentence'), verbs: [['yes', t('replay')]] });
  if (said) await perform({ ids: [number] }, 'replay', 'letters/replay');
}

export const presses = { explain, replay };
