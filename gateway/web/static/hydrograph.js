// The chart of a station on the page: which range is shown, what was asked for it, and when it is drawn again.

import { h } from './dom.js';
import { changed, now } from './state.js';
import { t } from './words.js';
import { address } from './api.js';
import { fetched } from './fetched.js';
import { clock, date, measure, ms, tick, when } from './figures.js';
import { drawChart, place, tideOf } from './chart.js';
import { faultOf, testOf } from './codes.js';
import { script, stylesheet } from './map.js';

const HOUR = 3_600_000;
export const RANGES = { h3: 3 * HOUR, h24: 24 * HOUR, d7: 168 * HOUR, d30: 720 * HOUR };
const MOST_ONES = 2000; // observations one by one that are asked for
const FLAGS = { 1: 'flag_good', 2: 'flag_open', 3: 'suspect', 4: 'fail', 9: 'missing' };

let library = null; // null: not asked for, 'asked', false: missing, else uPlot
const shown = { key: '', range: 'h24', zoom: null, flags: false, raw: false };
let drawing = null; // {signature, end}

async function prepare() {
  library = 'asked';
  stylesheet('vendor/uplot/uPlot.min.css');
  try {
    await script('vendor/uplot/uPlot.iife.min.js');
    library = globalThis.uPlot;
  } catch {
    library = false;
  }
  changed();
}

/** [from, to] in ms; to the minute, so that a question is asked once a minute. */
function span() {
  if (shown.zoom) return shown.zoom;
  const to = Math.ceil(now() / 60_000) * 60_000;
  return [to - RANGES[shown.range], to + RANGES[shown.range] * 0.04];
}

const iso = (at) => new Date(at).toISOString();
const pathOf = (place_, channel, [from, to], points) =>
  `stations/${place_}/channels/${channel}/series?from=${iso(from)}&to=${iso(to)}&points=${points}`;
const onesOf = (place_, channel, [from, to]) =>
  `stations/${place_}/channels/${channel}/observations?from=${iso(from)}&to=${iso(to)}&limit=${MOST_ONES}`;
export const tableOf = (place_, channel) => {
  const [from, to] = span();
  return address(`stations/${place_}/channels/${channel}/series.csv?from=${iso(from)}&to=${iso(to)}`);
};

let last = {}; // what was drawn last of a line, until the next answer is there

function lineOf(name, path) {
  const { data, error } = fetched(path, 600_000);
  if (data) last[name] = data;
  return { data: data ?? last[name] ?? null, error };
}

/** The series for what is shown: {level, rain, tide, error}. */
function lines(facts) {
  const range = span();
  const points = Math.min(1200, Math.max(300, innerWidth));
  const level = lineOf('level', pathOf(facts.place, facts.channel.channel, range, points));
  const rain = facts.rain && lineOf('rain', pathOf(facts.rain.place, facts.rain.channel, range, 240));
  const deviation = facts.deviation && lineOf('deviation', pathOf(facts.place, facts.deviation, range, points));
  const narrow = innerWidth < 600; // there is room for one axis at the right
  const one = shown.raw && lineOf('one', onesOf(facts.place, facts.channel.channel, range));
  const tide = level.data && deviation?.data ? tideOf(level.data, deviation.data) : null;
  return { level: level.data, rain: (narrow && one ? null : rain?.data) ?? null, tide, ones: one?.data ?? null, error: level.error ?? (one && one.error), range };
}

const choice = (name) =>
  h('button', { type: 'button', 'data-act': 'range', 'data-range': name, 'aria-pressed': String(!shown.zoom && shown.range === name) }, t(`range_${name}`));

/** `facts`: {place, channel, rain: {place, channel, name}, deviation, thresholds}. */
export function hydrograph(facts) {
  if (library === null) prepare();
  const key = `${facts.place}/${facts.channel.channel}`;
  if (shown.key !== key) {
    last = {};
    Object.assign(shown, { key, zoom: null, raw: false });
  }
  const found = lines(facts);
  pending = library && library !== 'asked' && found.level ? { facts, found } : null;
  return h(
    'section',
    { class: 'hydrograph', 'aria-label': t('hydrograph') },
    h(
      'p',
      { class: 'ranges' },
      Object.keys(RANGES).map(choice),
      shown.zoom && h('button', { type: 'button', 'data-act': 'zoomout' }, t('zoom_out')),
      h('button', { type: 'button', 'data-act': 'flags', 'aria-pressed': String(shown.flags) }, t('flags')),
      h('button', { type: 'button', 'data-act': 'ones', 'aria-pressed': String(shown.raw) }, t('ones')),
      h('a', { class: 'button', href: tableOf(facts.place, facts.channel.channel), download: true }, 'CSV'),
      h('button', { type: 'button', 'data-act': 'print' }, t('print')),
    ),
    library === false && h('p', { class: 'notice' }, t('no_chart')),
    found.error && h('p', { class: 'notice' }, t('not_read', { why: found.error.message })),
    place(t('hydrograph_keys')),
    h('p', { class: 'reading', id: 'reading', 'aria-live': 'polite', 'data-keep': true }),
    found.rain && h('p', { class: 'small' }, t('rain_of', { name: facts.rain.name })),
    found.tide && h('p', { class: 'small' }, t('tide_dashed')),
    shown.flags && h('p', { class: 'small' }, t('flags_legend')),
    found.ones && h('p', { class: 'small' }, t(found.ones.next ? 'ones_newest' : 'ones_legend', { n: found.ones.observations.length })),
    found.ones ? onesTable(found.ones) : found.level && rawTable(found.level),
  );
}

/** The values as a table, on demand: also the way for whoever does not see the chart. */
function rawTable(level) {
  const rows = level.points.slice(-60).reverse();
  return h(
    'details',
    { class: 'raw' },
    h('summary', {}, t('raw', { n: rows.length })),
    h(
      'table',
      {},
      h('thead', {}, h('tr', {}, ['head_time', 'head_value', 'head_flag'].map((x) => h('th', { scope: 'col' }, t(x))))),
      h('tbody', {}, rows.map(([at, value, flag]) => h('tr', {}, h('td', {}, date(at)), h('td', {}, measure(value, level.unit)), h('td', {}, t(FLAGS[flag] ?? 'flag_open'))))),
    ),
  );
}

const ONES_SHOWN = 200;
const ONES_HEADS = ['head_time', 'head_value', 'head_raw', 'head_flag', 'head_said', 'head_received'];

/** Observation by observation: what the sensor gave, what it means, what was said of it. */
function onesTable({ observations, unit }) {
  const rows = observations.slice(0, ONES_SHOWN);
  const flag = (x) => t(FLAGS[x] ?? 'flag_open');
  const said = (x) => [x.fault && faultOf(x.fault), ...x.tests.map(testOf), x.flag !== x.flag_when_received && t('flag_was', { flag: flag(x.flag_when_received) })];
  const line = (x) => [when(ms(x.observed), now()), measure(x.value, unit), x.raw === null ? t('none') : String(x.raw), flag(x.flag), said(x).filter(Boolean).join(t('comma')), clock(ms(x.received))];
  return h(
    'details',
    { class: 'raw' },
    h('summary', {}, t('ones_table', { n: rows.length })),
    h(
      'div',
      { class: 'scroll' },
      h(
        'table',
        {},
        h('thead', {}, h('tr', {}, ONES_HEADS.map((x) => h('th', { scope: 'col' }, t(x))))),
        h('tbody', {}, rows.map((x) => h('tr', {}, line(x).map((cell) => h('td', {}, cell))))),
      ),
    ),
  );
}

/** The crosshair in words: 11月22日(日) 03:12　3.42 m　要確認 */
function reading(level, at) {
  const line = document.getElementById('reading');
  if (!line) return;
  const near = at === null ? null : level.points.reduce((best, p) => (!best || Math.abs(p[0] - at) < Math.abs(best[0] - at) ? p : best), null);
  const gap = at === null ? null : level.gaps.find(([from, to]) => at > from && at < to);
  if (gap) line.textContent = t('gap', { from: date(gap[0]), to: clock(gap[1]) });
  else line.textContent = near ? `${date(near[0])}　${measure(near[1], level.unit)}　${t(FLAGS[near[2]] ?? 'flag_open')}` : '';
}

let pending = null;

function draw() {
  const element = document.getElementById('chart');
  if (!pending || !element) {
    if (!element) end();
    return;
  }
  const { facts, found } = pending;
  const dark = getComputedStyle(document.documentElement).getPropertyValue('--paper');
  const signature = [facts.place, facts.channel.channel, found.range, found.level.points.length, found.level.points.at(-1)?.[0], found.rain?.points.length, Boolean(found.tide), shown.flags, found.ones?.observations.length, found.ones?.observations[0]?.observed, dark, document.documentElement.lang].join();
  if (drawing?.signature === signature && element.firstChild) return;
  end();
  const [from, to] = found.range;
  const stop = drawChart(library, element, {
    ...found,
    from,
    to,
    thresholds: facts.thresholds,
    unit: found.level.unit,
    now: now(),
    flags: shown.flags,
    tick,
    read: (at) => reading(found.level, at),
    zoom: (start, stop_) => {
      shown.zoom = [Math.round(start), Math.round(stop_)];
      changed();
    },
  });
  drawing = { signature, end: stop };
}

function end() {
  drawing?.end();
  drawing = null;
  document.getElementById('chart')?.replaceChildren();
}

export const presses = {
  range: (button) => {
    Object.assign(shown, { range: button.dataset.range, zoom: null });
    changed();
  },
  zoomout: () => {
    shown.zoom = null;
    changed();
  },
  ones: () => {
    shown.raw = !shown.raw;
    changed();
  },
  flags: () => {
    shown.flags = !shown.flags;
    changed();
  },
};

document.addEventListener('drawn', draw);
// On paper the ink is black, whatever the screen was.
matchMedia('print').addEventListener('change', draw);
