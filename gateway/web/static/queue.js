// What waits for somebody: episodes nobody acknowledged, by river and area, the longest waiting first.

import { h } from './dom.js';
import { mayAct, now, state } from './state.js';
import { language, t, named } from './words.js';
import { age, arrow, change, clock, measure, ms, span } from './figures.js';
import { mark } from './mark.js';
import { ageOf, heldWords, levelOf, standing, unseen } from './standing.js';

export const claimed = (e) => Math.max(e.rank ?? 0, e.unconfirmed ?? 0);
export const rowOf = (e) => state.board?.stations.find((row) => row.tenant === e.tenant && row.station === e.station);
const waitingSince = (e) => ms(e.calling?.since ?? e.since);

/** Nobody has acknowledged it and somebody should. */
export const unanswered = () =>
  (state.board?.episodes ?? [])
    .filter((e) => !e.acknowledged && (e.calling || e.cause || claimed(e) >= 2 || e.held))
    .sort((a, b) => a.drill - b.drill || waitingSince(a) - waitingSince(b));

/** What may be acknowledged together: ranks up to 2 and silences, no claim above, nothing that was lost at a crest. */
export const together = (e) => !e.drill && claimed(e) <= 2 && !e.held && highest(e) <= 2;
const highest = (e) => (e.cause ? 0 : e.highest ?? 0);

/** 春日橋, or what many stations have in common. */
export function nameOf(e) {
  const name = e.cause
    ? t('cause', { group: e.cause.group || t('cause_common'), n: e.cause.stations.length })
    : named(e.name) || e.station;
  return e.drill ? t('drill', { text: name }) : name;
}

/** 氾濫危険水位超過, 観測不能 …: what it is about. */
export function aboutOf(e) {
  const row = rowOf(e);
  if (e.cause) return t('cause_about');
  if (e.held && row) return heldWords(row);
  if (e.contact) return `${named(e.level)}　${e.contact}`;
  if (claimed(e)) {
    const level = levelOf(claimed(e), e.level?.key);
    return level[`exceeded_${language}`] || t('exceeded', { level: named(level) });
  }
  if (e.steps?.length) return t('rain_steps', { steps: e.steps.map(named).join('・') });
  if (e.condition && e.condition !== 'fresh') return t(`about_${e.condition}`);
  return t('below');
}

function tags(e) {
  const said = [];
  if (e.unconfirmed > e.rank) said.push(t('unconfirmed'));
  if (e.held) said.push(t('held'));
  if (e.muted_until) said.push(t('muted_until', { at: clock(ms(e.muted_until)) }));
  return said.map((word) => h('span', { class: 'tag' }, word));
}

function standingOf(e) {
  const row = rowOf(e);
  if (row && !e.drill && !e.cause) return standing(row);
  const rank = claimed(e);
  return { kind: rank ? 'rank' : 'silent', rank, level: levelOf(rank, e.level?.key), suspect: false, held: false };
}

export function calling(e) {
  if (e.acknowledged) return t('seen_by', { by: e.acknowledged.by, at: clock(ms(e.acknowledged.at)) });
  const call = e.calling;
  if (!call) return t('told', { n: e.told });
  if (call.active && call.role) return t('calling', { role: named(call.role), n: call.round });
  return t('not_answered', { n: e.told });
}

function figures(e) {
  const row = rowOf(e);
  if (!row || e.cause || e.drill || e.value === null) return null;
  const lost = unseen(row);
  return h(
    'span',
    { class: 'now' },
    lost ? t('last_value', { value: measure(row.value, row.unit) }) : h('b', {}, measure(row.value, row.unit)),
    !lost && row.trend && ` ${arrow(row.trend)} ${change(row.rate_per_h, row.unit)}/h`,
    ' ',
    h('span', { class: row.condition === 'fresh' ? 'age' : 'age late' }, ageOf(row) === null ? '' : age(ageOf(row))),
  );
}

const button = (act, e, label, kind = '') =>
  h(
    'button',
    {
      type: 'button',
      class: kind,
      'data-act': act,
      'data-episode': e.episode,
      disabled: state.busy.has(`${act}${e.episode}`) || state.lost,
      'aria-label': `${label} ${nameOf(e)}`,
    },
    label,
  );

/** Somebody must look: it is suspect or was lost; later anybody may have seen that it is true or false. */
const judged = (e) => !e.drill && !e.cause && (e.unconfirmed > e.rank || e.held || (e.acknowledged && claimed(e) > 0));

export function buttons(e) {
  if (!state.board.episodes) return null;
  return h(
    'div',
    { class: 'acts' },
    mayAct() && !e.acknowledged && button('acknowledge', e, t('acknowledge'), 'main'),
    mayAct() && judged(e) && button('judge', e, t('judge')),
    mayAct() && e.acknowledged && !e.drill && !e.cause && button('close', e, t('close')),
    mayAct() && e.drill && button('drillend', e, t('drillend')),
    location.hash !== detailOf(e) && h('a', { class: 'button', href: detailOf(e), 'aria-label': `${t('details')} ${nameOf(e)}` }, t('details')),
  );
}

const detailOf = (e) => (e.cause ? `#/episode/${e.tenant}/${encodeURIComponent(e.episode)}` : `#/station/${e.tenant}/${e.station}`);

function item(e) {
  const since = waitingSince(e);
  return h(
    'li',
    { 'data-key': e.episode, class: e.drill ? 'episode drill' : 'episode' },
    mark(standingOf(e)),
    h(
      'div',
      { class: 'what' },
      h('p', { class: 'title' }, h('b', { class: 'name' }, nameOf(e)), ' ', figures(e)),
      h('p', {}, aboutOf(e), ' ', tags(e), e.drill ? ` ${t('drill_end')}` : ''),
      h('p', { class: 'small' }, calling(e), '　', h('b', {}, t('waiting', { span: span(now() - since) }))),
    ),
    buttons(e),
  );
}

function groups(episodes) {
  const found = new Map();
  for (const e of episodes) {
    const row = rowOf(e);
    const group = e.cause ? t('cause_group') : row?.river || row?.area || '';
    found.set(group, [...(found.get(group) ?? []), e]);
  }
  return [...found];
}

export function queue() {
  const waiting = unanswered();
  const open = (state.board?.episodes ?? []).filter((e) => !waiting.includes(e));
  const many = waiting.filter(together);
  return h(
    'section',
    { class: 'queue', 'aria-label': t('queue') },
    h(
      'h2',
      {},
      t('queue'),
      h('small', {}, waiting.length ? t('queue_order') : t('queue_none')),
      mayAct() &&
        many.length > 1 &&
        h('button', { type: 'button', 'data-act': 'together', disabled: state.lost }, t('together', { n: many.length })),
    ),
    groups(waiting).map(([group, episodes]) =>
      h('div', { class: 'group', 'data-key': `g${group}` }, group && h('h3', {}, group), h('ul', {}, episodes.map(item))),
    ),
    open.length > 0 &&
      h(
        'details',
        { class: 'open', 'data-key': 'open' },
        h('summary', {}, t('open', { n: open.length })),
        h('ul', {}, open.map(item)),
      ),
  );
}

