// How a station stands, from its row on the board: what is drawn and said of it. No element is made here.

import { state, now } from './state.js';
import { language, t, named } from './words.js';
import { clock, ms, span } from './figures.js';

export const BLIND = ['silent', 'faulty', 'unknown'];
export const placeOf = (row) => `${row.tenant}/${row.station}`;
export const claim = (row) => Math.max(row.rank ?? 0, row.unconfirmed ?? 0);
export const suspect = (row) => (row.unconfirmed ?? 0) > (row.rank ?? 0);
/** Nobody can say how it stands now. */
export const unseen = (row) => row.held || BLIND.includes(row.condition);

const SHAPES = ['circle', 'circle', 'triangle', 'square', 'diamond', 'octagon'];
const COLOURS = ['#C8C8CB', '#FFFFFF', '#F2E700', '#FF2800', '#AA00AA', '#0C000C'];
const TEXTS = ['#000000', '#000000', '#000000', '#000000', '#FFFFFF', '#FFFFFF'];

/** The row of the level table for a rank and, where it is known, a key: names, colour, shape. */
export function levelOf(rank, key) {
  const levels = state.config?.levels ?? [];
  const found = levels.find((x) => x.rank === rank && x.key === key) ?? levels.find((x) => x.rank === rank);
  return {
    rank,
    ja: t('rank', { n: rank }),
    en: t('rank', { n: rank }),
    colour: COLOURS[rank],
    text: TEXTS[rank],
    shape: SHAPES[rank],
    ...found,
  };
}

/** 危険, of a level table's row. */
export const shortName = (level) => level[`short_${language}`] || named(level);

/** What its mark is: {kind, rank, level, suspect, held, hazard}. kind: rank, silent, faulty, unknown, maintenance, late. */
export function standing(row) {
  const rank = claim(row);
  const common = { rank, level: levelOf(rank, row.level?.key), hazard: row.hazard, suspect: suspect(row), held: row.held };
  if (row.condition === 'maintenance') return { ...common, kind: 'maintenance' };
  if (row.held || rank >= 2) return { ...common, kind: 'rank', late: row.condition === 'late' };
  if (BLIND.includes(row.condition)) return { ...common, kind: row.condition };
  return { ...common, kind: rank || row.condition !== 'late' ? 'rank' : 'late', late: row.condition === 'late' };
}

/** The rank stands and the value is below it: a rank falls late, on purpose. */
export const fallen = (row) =>
  claim(row) > 0 && !suspect(row) && !unseen(row) && row.value !== null && row.unit !== '/' && (row.over?.rank ?? 0) < claim(row);

/** Its state in words, the gravest first: [危険, 未確認, 遅延]. */
export function words(row) {
  const said = [];
  const rank = claim(row);
  if (row.held) said.push(t('held'));
  if (row.condition === 'maintenance') said.push(t('maintenance'));
  if (BLIND.includes(row.condition) && !row.held) said.push(t(row.condition));
  if (rank) said.push(named(row.level) || named(levelOf(rank)));
  if (fallen(row)) said.push(t('below_watched'));
  if (suspect(row)) said.push(t('unconfirmed'));
  if (!rank && row.condition === 'fresh') said.push(t('normal'));
  if (row.condition === 'late') said.push(t('late'));
  if (row.flag === 3) said.push(t('suspect'));
  if (row.flag === 4) said.push(t('fail'));
  if (row.flag === 9 && !unseen(row)) said.push(t('missing'));
  if (row.falling_fast) said.push(t('falling_fast'));
  if (row.blind?.length) said.push(t('blind_others', { n: row.blind.length }));
  if (row.waiting) said.push(t('waiting_dry'));
  if (row.muted_until) said.push(t('muted_until', { at: clock(ms(row.muted_until)) }));
  return said;
}

/** How long its newest reading lies back, ms; null without one. */
export const ageOf = (row) => (row.observed ? Math.max(0, now() - ms(row.observed)) : null);

/** 02:10に氾濫危険水位超過、以後観測不能 */
export function heldWords(row) {
  const level = named(row.level) || named(levelOf(claim(row)));
  return row.observed
    ? t('held_since', { at: clock(ms(row.observed)), level })
    : t('held_level', { level });
}

/** 約40分 to the next threshold; an aid for staff, who alone get it from the server. */
export const toNext = (row) =>
  row.minutes_to_next === null || row.minutes_to_next === undefined || unseen(row)
    ? null
    : t('to_next_in', { span: span(row.minutes_to_next * 60_000) });

/** The order in which the eye wants them; what the server sorted stays in its order. */
export function urgency(row) {
  if (row.condition === 'maintenance') return 9;
  if (claim(row) >= 2) return 5 - claim(row);
  if (unseen(row)) return 4;
  return 6 - claim(row) / 2 - (row.condition === 'late' ? 0.1 : 0);
}

export const worstFirst = (rows) =>
  rows.map((row, n) => [urgency(row), n, row]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((x) => x[2]);
