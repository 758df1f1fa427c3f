// What happened: an alert step by step, and who was told when.

import { h } from './dom.js';
import { now, state } from './state.js';
import { known, t, named } from './words.js';
import { fetched } from './fetched.js';
import { date, measure, ms, when } from './figures.js';
import { levelOf, shortName } from './standing.js';
import { aboutOf, buttons, calling, nameOf } from './queue.js';

const pathOf = (e) => `episodes/${e.tenant}/${encodeURIComponent(e.episode)}`;
const changeWords = (c) => {
  const rank = c.to_rank || c.from_rank;
  const key = `change_${c.change}`;
  const text = t(known(key) ? key : 'change_other', { level: rank ? shortName(levelOf(rank)) : '' });
  return c.confirmed === false ? `${text}（${t('unconfirmed')}）` : text;
};

function changes(found) {
  return h(
    'ol',
    { class: 'steps' },
    found.changes.map((c) =>
      h('li', {}, h('time', {}, when(ms(c.at), now())), ' ', changeWords(c), c.value === null || c.value === undefined ? '' : ` ${measure(c.value, c.unit)}`, c.rings ? ` ${t('rang')}` : ''),
    ),
  );
}

/** Each recipient once: the newest of what was sent. */
function told(found) {
  const newest = new Map();
  for (const n of found.notified) if (n.medium !== 'mqtt') newest.set(n.recipient, n);
  if (!newest.size) return h('p', { class: 'small' }, t('nobody_told'));
  return h(
    'ul',
    { class: 'steps' },
    [...newest.values()].map((n) =>
      h('li', {}, h('time', {}, when(ms(n.done ?? n.owed), now())), ' ', n.name || n.recipient, `　${t(`sent_${n.state}`)}`, n.attempts > 1 ? ` ${t('attempts', { n: n.attempts })}` : ''),
    ),
  );
}

function one(e) {
  const { data, error } = fetched(pathOf(e), 20_000);
  const judged = e.judgement;
  return h(
    'details',
    { class: 'episode-told', 'data-key': e.episode, open: !e.closed },
    h('summary', {}, `${date(ms(e.since))}　${e.highest ? t('highest', { level: shortName(levelOf(e.highest)) }) : t('silent')}`, e.closed ? `　${t('closed_at', { at: date(ms(e.closed)) })}` : `　${t('going_on')}`),
    judged && h('p', {}, t(`judged_${judged.what}`, { by: judged.by }), judged.basis ? `（${t(`basis_${judged.basis}`)}）` : '', judged.note ? ` ${judged.note}` : ''),
    data ? [h('h4', {}, t('steps')), changes(data), h('h4', {}, t('who_was_told')), told(data)] : h('p', { class: 'small' }, error ? t('not_read', { why: error.message }) : t('reading')),
  );
}

/** The alerts of a station, open ones first. */
export function happened(tenant, station) {
  const mine = (e) => e.tenant === tenant && e.station === station;
  const open = state.board.episodes.filter(mine);
  const { data, error } = fetched('episodes?state=closed&limit=200', 60_000);
  const past = (data?.episodes ?? []).filter(mine).slice(0, 5);
  return h(
    'section',
    { class: 'happened' },
    h('h3', {}, t('episodes')),
    open.map((e) => [h('p', {}, aboutOf(e), '　', calling(e)), buttons(e), one(e)]),
    past.map(one),
    !open.length && !past.length && h('p', { class: 'small' }, error ? t('not_read', { why: error.message }) : data ? t('no_episodes') : t('reading')),
  );
}

/** An episode of its own: many stations silent together. */
export function view([tenant, id]) {
  const e = (state.board?.episodes ?? []).find((x) => x.tenant === tenant && x.episode === id);
  if (!state.board) return h('p', { class: 'notice' }, t('connecting'));
  if (!e) return h('p', { class: 'notice' }, t('no_longer_open'), ' ', h('a', { href: '#/' }, t('view_duty')));
  const rows = (e.cause?.stations ?? []).map((name) => state.board.stations.find((x) => x.tenant === tenant && x.station === name)).filter(Boolean);
  return [
    h('h2', {}, nameOf(e)),
    h('p', {}, aboutOf(e), '　', calling(e)),
    buttons(e),
    h('ul', { class: 'columns' }, rows.map((row) => h('li', {}, h('a', { href: `#/station/${row.tenant}/${row.station}` }, named(row.name))))),
    h('section', { class: 'happened' }, h('h3', {}, t('what_happened')), one(e)),
  ];
}
