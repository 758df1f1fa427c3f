// Every station, worst first: how high, how far to the next threshold, is it rising, how old is that.

import { h, once } from './dom.js';
import { now, state } from './state.js';
import { language, t, named } from './words.js';
import { age, arrow, change, date, figure, measure, span } from './figures.js';
import { mark } from './mark.js';
import { ageOf, claim, heldWords, placeOf, shortName, standing, toNext, unseen, words, worstFirst } from './standing.js';

export const nameOf = (row) => named(row.name) || row.station;

function next(row) {
  if (row.next) return [figure(row.next.distance, row.unit), t('until', { level: shortOf(row.next) })];
  if (row.over) return [figure(row.over.distance, row.unit), t('over', { level: shortOf(row.over) })];
  return [t('none'), ''];
}

/** The short name of a threshold's level. */
function shortOf(level) {
  const found = state.config.levels.find((x) => x.key === level.key);
  return found ? shortName(found) : named(level);
}

function ageCell(row) {
  const old = ageOf(row);
  const late = row.condition !== 'fresh';
  return h('td', { class: late ? 'age late' : 'age' }, old === null ? t('never') : age(old));
}

/** Instead of figures, where nobody sees it: what is known of it. */
function blindCells(row) {
  const old = ageOf(row);
  const last = row.value === null || row.value === undefined ? '' : t('last_value', { value: measure(row.value, row.unit) });
  const said = row.held ? heldWords(row) : `${t(row.condition)} ${old === null ? '' : `(${span(old)})`}`;
  return [h('td', { class: 'blind', colspan: 4 }, h('b', {}, said), ' ', h('small', {}, last)), ageCell(row)];
}

function figureCells(row) {
  const [distance, level] = next(row);
  const aid = toNext(row);
  return [
    h('td', { class: 'level' }, h('b', {}, figure(row.value, row.unit)), h('small', {}, row.unit === '/' ? '' : ` ${row.unit}`)),
    h('td', { class: 'next' }, distance, h('small', {}, ` ${level}`), aid && h('small', { class: 'aid' }, ` ${aid}`)),
    h('td', {}, change(row.change_10min, row.unit)),
    h('td', {}, h('span', { class: 'arrow' }, arrow(row.trend)), ' ', change(row.change_1h, row.unit)),
    ageCell(row),
  ];
}

function line(row) {
  const dark = unseen(row) || row.condition === 'maintenance' || row.value === null;
  const said = words(row);
  return h(
    'tr',
    { 'data-key': placeOf(row), class: claim(row) >= 3 ? 'grave' : '' },
    h('td', { class: 'sign' }, mark(standing(row))),
    h(
      'th',
      { scope: 'row' },
      h('a', { href: `#/station/${placeOf(row)}` }, nameOf(row)),
      h('small', {}, ` ${row.river || row.area || ''}`),
      h('span', { class: 'state' }, said.join('・')),
    ),
    dark ? blindCells(row) : figureCells(row),
  );
}

const texts = new WeakMap(); // row -> its text: between two boards the rows are the same
/** A row of the board as text. */
export function textOf(row) {
  if (!texts.has(row)) texts.set(row, JSON.stringify(row));
  return texts.get(row);
}

/** All that its line says follows from this. */
const facts = (row) => [language, state.config.staff, ageOf(row) === null ? '' : span(ageOf(row)), textOf(row)].join();

export function list() {
  const rows = worstFirst(state.board?.stations ?? []);
  const heads = ['head_level', 'head_next', 'head_10min', 'head_1h', 'head_age'];
  return h(
    'section',
    { class: 'list', 'aria-label': t('list') },
    h('h2', {}, t('list'), h('small', {}, t('list_order', { n: rows.length }))),
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h('tr', {}, h('td', {}), h('th', { scope: 'col' }, t('head_station')), heads.map((key) => h('th', { scope: 'col' }, t(key)))),
      ),
      h('tbody', {}, rows.map((row) => once('tr', placeOf(row), facts(row), () => line(row)))),
    ),
    h('p', { class: 'small' }, state.config.staff ? t('aid') : '', t('provisional'), ` ${date(now())} ${t('as_of')}`),
  );
}
