// A station: the hydrograph first, then what it means, who was told, and what stands behind it.

import { h } from './dom.js';
import { mayAct, now, state } from './state.js';
import { language, t, named } from './words.js';
import { fetched } from './fetched.js';
import { age, amount, arrow, change, date, measure, ms } from './figures.js';
import { mark } from './mark.js';
import { ageOf, fallen, heldWords, levelOf, shortName, standing, suspect, unseen, words } from './standing.js';
import { hydrograph } from './hydrograph.js';
import { nameOf } from './list.js';
import { happened } from './episode.js';
import { completeness } from './operations.js';

const KM = 111;
const NEAR_KM = 15;
const isRain = (x) => x.quantity === 'rain' && /_(10min|1h)$/.test(x.channel);

/** 氾濫危険水位を62 cm上回り、1時間に31 cm上昇 */
function meaning(row) {
  if (row.held) return heldWords(row);
  if (unseen(row) || row.condition === 'maintenance') return t(`about_${row.condition}`);
  if (row.value === null || row.unit === '/') return words(row).join('・');
  const parts = fallen(row) ? [t('mean_below', { level: named(row.level) })] : [];
  if (row.over) parts.push(t('mean_over', { level: named(row.over), by: amount(row.over.distance, row.unit) }));
  if (row.next) parts.push(t('mean_next', { level: named(row.next), by: amount(row.next.distance, row.unit) }));
  if (row.trend && row.rate_per_h !== null) parts.push(t(`mean_${row.trend}`, { by: amount(row.rate_per_h, row.unit) }));
  const text = parts.join(t('comma'));
  return suspect(row) ? t('mean_unconfirmed', { text }) : text;
}

function rainOf(station, row) {
  const own = station.channels.find(isRain);
  if (own) return { place: `${row.tenant}/${row.station}`, channel: own.channel, name: nameOf(row) };
  const near = state.board.stations
    .filter((x) => x.hazard === 'rain' && x.channel && x.unit === 'mm' && x.latitude !== null && row.latitude !== null)
    .map((x) => [Math.hypot(x.latitude - row.latitude, (x.longitude - row.longitude) * 0.82) * KM, x])
    .sort((a, b) => a[0] - b[0])[0];
  if (!near || near[0] > NEAR_KM) return null;
  const name = t('rain_near', { name: nameOf(near[1]), km: near[0].toFixed(0) });
  return { place: `${near[1].tenant}/${near[1].station}`, channel: near[1].channel, name };
}

const title = (row) =>
  h(
    'header',
    { class: 'of-station' },
    mark(standing(row)),
    h('h2', {}, nameOf(row), ' ', h('small', {}, row.river || row.area || '')),
    h('p', { class: 'big' }, unseen(row) ? '' : h('b', {}, measure(row.value, row.unit)), ' ', unseen(row) ? '' : `${arrow(row.trend)} ${row.rate_per_h === null || !row.trend ? '' : `${change(row.rate_per_h, row.unit)}/h`}`),
    h('p', {}, words(row).map((word) => h('span', { class: 'tag' }, word))),
    h('p', { class: row.condition === 'fresh' ? 'age' : 'age late' }, ageOf(row) === null ? t('never') : `${date(ms(row.observed))}（${age(ageOf(row))}）`),
  );

function thresholds(station, channel) {
  const rows = [...channel.thresholds].sort((a, b) => b.value - a.value);
  if (!rows.length) return h('p', { class: 'small' }, t('no_thresholds'));
  return h(
    'table',
    { class: 'plain' },
    h('thead', {}, h('tr', {}, ['head_level_name', 'head_value', 'head_authority', 'head_basis', 'head_source'].map((x) => h('th', { scope: 'col' }, t(x))))),
    h('tbody', {}, rows.map((x) => h('tr', { 'data-key': x.level }, h('th', { scope: 'row' }, named(x)), h('td', {}, measure(x.value, channel.unit)), h('td', {}, x.authority), h('td', {}, x.basis), h('td', {}, x.source)))),
  );
}

function deeds(row) {
  if (!mayAct()) return null;
  const place = `${row.tenant}/${row.station}`;
  const button = (act, label, more = {}) => h('button', { type: 'button', 'data-act': act, 'data-place': place, disabled: state.lost, ...more }, label);
  const working = row.condition === 'maintenance';
  return h(
    'p',
    { class: 'acts left' },
    row.muted_until ? button('end', t('unmute'), { 'data-kind': 'mute' }) : button('mute', t('mute')),
    working ? button('end', t('maintenance_end'), { 'data-kind': 'maintenance' }) : button('maintenance', t('maintenance_begin')),
    button('entry', t('enter')),
  );
}

function links(station) {
  if (!station.links?.length) return null;
  return h(
    'section',
    {},
    h('h3', {}, t('links')),
    h('ul', {}, station.links.map((x) => h('li', {}, h('a', { href: x.url, target: '_blank', rel: 'noopener noreferrer' }, x[language] || x.ja)))),
  );
}

function device(station) {
  if (!station.device) return null;
  const { data } = fetched('devices', 60_000);
  const found = data?.devices.find((x) => x.tenant === station.tenant && x.device === station.device);
  return h('section', {}, h('h3', {}, t('device')), h('p', {}, station.device, found ? `　${completeness(found)}` : '', '　', h('a', { href: '#/operations' }, t('view_operations'))));
}

/** The chosen channel of those that have a line, else the one that speaks for the station. */
function channelOf(station, row, wanted) {
  const shownable = station.channels.filter((c) => c.unit !== 'lat' && c.unit !== 'lon');
  return shownable.find((c) => c.channel === wanted) ?? shownable.find((c) => c.channel === row.channel) ?? shownable[0];
}

const tabs = (station, row, current) =>
  station.channels.length > 1 &&
  h(
    'p',
    { class: 'ranges' },
    station.channels.map((c) =>
      h('a', { class: 'button', 'aria-current': c.channel === current.channel ? 'true' : null, href: `#/station/${row.tenant}/${row.station}/${c.channel}` }, t(`quantity_${c.quantity}`) + (c.derived ? `（${c.channel}）` : '')),
    ),
  );

export function view([tenant, name, wanted]) {
  const row = state.board?.stations.find((x) => x.tenant === tenant && x.station === name);
  if (!state.board) return h('p', { class: 'notice' }, t('connecting'));
  if (!row) return h('p', { class: 'notice' }, t('no_station', { name }), ' ', h('a', { href: '#/' }, t('view_duty')));
  const { data: station, error } = fetched(`stations/${tenant}/${name}`, 60_000);
  if (!station) return [title(row), h('p', { class: 'notice' }, error ? t('not_read', { why: error.message }) : t('reading'))];
  const channel = channelOf(station, row, wanted);
  const level = channel?.quantity === 'water_level';
  const marks = channel?.thresholds.map((x) => ({ ...x, name: shortName(levelOf(x.rank, x.level)) })) ?? [];
  return [
    title(row),
    h('p', { class: 'meaning' }, meaning(row)),
    tabs(station, row, channel),
    channel && hydrograph({ place: `${tenant}/${name}`, channel, thresholds: marks, rain: level ? rainOf(station, row) : null, deviation: level ? station.channels.find((c) => c.quantity === 'tide_deviation')?.channel : null }),
    deeds(row),
    h(
      'div',
      { class: 'columns' },
      h('section', {}, h('h3', {}, t('thresholds')), channel && thresholds(station, channel), h('p', { class: 'small' }, station.datum ? t('datum', { datum: station.datum, zero: measure(station.gauge_zero ?? null, 'm') }) : '')),
      state.board.episodes && happened(tenant, name),
      links(station),
      device(station),
    ),
    h('p', { class: 'small' }, t('provisional'), ` ${date(now())} ${t('as_of')}`),
  ];
}

