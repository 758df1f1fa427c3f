// 時系列: what was known, said and done, in the order in which it was recorded, with entries by hand.

import { h } from './dom.js';
import { mayAct, state } from './state.js';
import { language, t, named } from './words.js';
import { fetched } from './fetched.js';
import { date, ms, seconds } from './figures.js';

const LATE_MS = 60_000;
export const HOURS = [6, 24, 72, 168];
let hours = 24;
let chosen = 'all';
const SORTS = {
  all: () => true,
  people: (row) => Boolean(row.by) && row.kind !== 'notification',
  readings: (row) => row.kind === 'transition',
};

const placeOf = (row) => named(state.board?.stations.find((x) => x.tenant === row.tenant && x.station === row.station)?.name) || row.station;

export function line(row) {
  const [at, recorded] = [ms(row.at), ms(row.recorded)];
  return h(
    'tr',
    { 'data-key': row.number, class: row.corrected_by ? 'corrected' : '' },
    h('td', {}, h('time', {}, date(at)), h('small', {}, `:${seconds(at).slice(-2)}`), recorded - at > LATE_MS ? h('small', { class: 'block' }, t('recorded', { at: date(recorded) })) : ''),
    h('td', {}, placeOf(row)),
    h('td', {}, row.kind_name?.[language] ?? row.kind),
    h('td', { class: 'text' }, named(row.text), row.corrected_by ? h('b', {}, ` ${t('corrected', { n: row.corrected_by })}`) : ''),
    h('td', {}, row.by),
  );
}

export const table = (rows) =>
  h(
    'table',
    { class: 'plain journal' },
    h('thead', {}, h('tr', {}, ['head_time', 'head_station', 'head_kind', 'head_what', 'head_by'].map((x) => h('th', { scope: 'col' }, t(x))))),
    h('tbody', {}, rows.map(line)),
  );

const pressed = (act, value, label, on) => h('button', { type: 'button', 'data-act': act, 'data-value': value, 'aria-pressed': String(on) }, label);

export function view() {
  const { data, error } = fetched(`journal?hours=${hours}&limit=500`, 10_000);
  const rows = (data?.rows ?? []).filter(SORTS[chosen]).reverse();
  return [
    h('h2', {}, t('view_journal'), h('small', {}, t('newest_first'))),
    h(
      'p',
      { class: 'ranges' },
      HOURS.map((n) => pressed('hours', n, t('last_hours', { n }), hours === n)),
      Object.keys(SORTS).map((name) => pressed('sort', name, t(`sort_${name}`), chosen === name)),
      mayAct() && h('button', { type: 'button', 'data-act': 'entry', class: 'main' }, t('enter')),
      h('button', { type: 'button', 'data-act': 'print' }, t('print')),
    ),
    error && h('p', { class: 'notice' }, t('not_read', { why: error.message })),
    data ? (rows.length ? table(rows) : h('p', { class: 'notice' }, t('no_rows'))) : !error && h('p', { class: 'notice' }, t('reading')),
  ];
}

export const presses = {
  hours: (button) => (hours = Number(button.dataset.value)),
  sort: (button) => (chosen = button.dataset.value),
};
