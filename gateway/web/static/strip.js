// The strip above: time, whether it is live, what waits, and what the room must know before anything else.

import { h } from './dom.js';
import { administers, hasAccount, mayAct, now, state } from './state.js';
import { language, t, named } from './words.js';
import { clock, ms, seconds, when } from './figures.js';
import { mark } from './mark.js';
import { BLIND, claim, levelOf, shortName, suspect, unseen } from './standing.js';
import { ringing, soundWorks } from './sound.js';
import { theme } from './theme.js';
import { unanswered } from './queue.js';

const VIEWS = ['duty', 'journal', 'handover', 'operations']; // all but the first are for staff

const button = (act, label, more = {}, ...children) =>
  h('button', { type: 'button', 'data-act': act, ...more }, label, children);

/** The ways in: by a password of this house, at a provider of names. */
function doors(kind) {
  const { password, oidc } = state.config.login ?? {};
  const other = typeof oidc === 'string' ? t('login_other', { name: oidc }) : t('login_provider');
  return [
    password && button('login', t('login'), { class: kind }),
    oidc && h('a', { class: kind ? 'button quiet' : 'button', href: 'oidc/start' }, other),
  ];
}

function live() {
  if (state.lost || !state.heard) return h('span', { class: 'live stopped' }, state.heard ? t('stopped') : t('connecting'));
  return h('span', { class: 'live' }, t('live'), h('span', { class: 'pulse', 'aria-hidden': 'true' }, '●'));
}

function ranks(rows) {
  return [5, 4, 3, 2].map((rank) => {
    const n = rows.filter((row) => claim(row) === rank && row.condition !== 'maintenance').length;
    if (!n) return null;
    const level = levelOf(rank);
    const words = `${shortName(level)} ${t('stations', { n })}`;
    return h(
      'span',
      { class: 'count', 'data-key': `rank${rank}`, title: words },
      mark({ kind: 'rank', rank, level }),
      h('span', { class: 'unseen' }, words),
      h('b', { 'aria-hidden': 'true' }, n),
    );
  });
}

function counts() {
  const { stations, episodes = [] } = state.board;
  const blind = stations.filter(unseen);
  const kinds = BLIND.map((kind) => [kind, blind.filter((row) => row.condition === kind).length]).filter((x) => x[1]);
  const drills = episodes.filter((e) => e.drill).length;
  const doubted = stations.filter(suspect).length;
  const waiting = unanswered().length;
  return h(
    'div',
    { class: 'counts' },
    ranks(stations),
    h('span', { class: waiting ? 'count waits' : 'count' }, t('count_waiting'), h('b', {}, waiting)),
    h('span', { class: doubted ? 'count doubt' : 'count' }, t('count_unconfirmed'), h('b', {}, doubted)),
    h(
      'span',
      {
        class: blind.length ? 'count blind' : 'count',
        title: kinds.map(([kind, n]) => `${t(kind)} ${n}`).join('　'),
      },
      t('count_blind'),
      h('b', {}, t('of', { n: blind.length, all: stations.length })),
    ),
    h('span', { class: drills ? 'count drill' : 'count' }, drills ? t('count_drill', { n: drills }) : t('no_drill')),
  );
}

/** Who is signed in; with an account of this house the way to its password and tokens. */
function you(name, here) {
  if (!hasAccount()) return h('span', { class: 'you' }, name);
  const to = t('view_me');
  return h('a', { class: 'you', href: '#/me', title: to, 'aria-label': `${name}: ${to}`, 'aria-current': here === 'me' ? 'page' : null }, name);
}

export function strip(here) {
  const { config, board } = state;
  const at = state.lost ? state.heard + state.ahead : now();
  return [
    h(
      'div',
      { class: 'head' },
      h('h1', {}, h('a', { href: '#/' }, named(config.title) || t('title'))),
      h('time', { id: 'clock', datetime: new Date(at).toISOString() }, seconds(at)),
      live(),
      board && counts(),
    ),
    h(
      'div',
      { class: 'tools' },
      h(
        'nav',
        { 'aria-label': t('views') },
        [...VIEWS.slice(0, config.staff ? VIEWS.length : 1), ...(administers() ? ['accounts'] : [])].map((name) =>
          h('a', { href: `#/${name === 'duty' ? '' : name}`, 'aria-current': here === name ? 'page' : null }, t(`view_${name}`)),
        ),
      ),
      soundWorks() && button('sound', t('sound_ok'), { class: 'quiet', 'aria-label': `${t('sound_ok')}: ${t('sound_check')}` }),
      button('language', language === 'ja' ? 'English' : '日本語', { class: 'quiet', lang: language === 'ja' ? 'en' : 'ja' }),
      button('theme', '◐', { class: 'quiet', title: t(`theme_${theme()}`), 'aria-label': `${t('theme')}: ${t(`theme_${theme()}`)}` }),
      config.you?.name && you(config.you.name, here),
      config.you?.via === 'session' && button('logout', t('logout'), { class: 'quiet' }),
      config.you?.role === 'public' && !state.out && doors('quiet'),
    ),
  ];
}

const OVER_MS = 6 * 3_600_000; // what was lifted or withdrawn stays so long, the chronology has it for ever

function bulletin(entry, today) {
  const source = entry.source === 'received' ? t('received') : t('by_hand');
  const text = entry.drill ? `【訓練】${entry.ja}【訓練】` : entry.ja;
  return h(
    'li',
    { 'data-key': `${entry.at}${text}`, class: entry.over ? `${entry.kind} over` : entry.kind, title: entry.headline || null },
    h('time', {}, when(ms(entry.at), today)),
    ' ',
    h('b', { lang: 'ja' }, text),
    h('small', {}, `（${[entry.by, source].filter(Boolean).join(' ')}）`),
  );
}

/** 『未接続』, since when nothing can be received, or that nothing was issued: three things that look alike from afar. */
function standing(feed, n) {
  if (!feed) return h('li', { class: 'none' }, t('feed_missing'));
  if (feed.unheard) {
    const text = feed.heard ? t('feed_unheard', { at: when(ms(feed.heard), now()) }) : t('feed_never');
    return h('li', { class: 'unheard' }, h('b', {}, text));
  }
  return n ? null : h('li', { class: 'none' }, t('no_bulletin', { at: when(ms(feed.heard), now()) }));
}

/** Bulletins that were received or entered, and the mayor's orders, with their times. */
export function bulletins() {
  if (!state.board?.bulletins) return null;
  const entries = state.board.bulletins.filter((x) => !x.over || now() - ms(x.at) < OVER_MS);
  const orders = entries.filter((x) => x.kind === 'order');
  return h(
    'section',
    { class: 'bulletins', 'aria-label': t('bulletins') },
    h('h2', {}, t('bulletins')),
    h(
      'ul',
      {},
      standing(state.board.feed, entries.length - orders.length),
      entries.map((entry) => bulletin(entry, now())),
      !orders.length && h('li', { class: 'none' }, t('no_order')),
    ),
    mayAct() && h('button', { type: 'button', 'data-act': 'entry', class: 'quiet' }, t('enter')),
  );
}

/** What must be read before the rest, the gravest first. */
export function banners() {
  const shown = [];
  const add = (kind, ...children) => shown.push(h('div', { class: `banner ${kind}`, 'data-key': kind }, children));
  if (state.lost) add('gone', t('lost', { at: clock(state.heard + state.ahead) }));
  if (state.out) add('gone', t('logged_out'), doors());
  if (state.board?.bridge?.running === false) {
    const { committed } = state.board.bridge;
    add('halt', t('bridge_halt'), committed ? t('bridge_last', { at: when(ms(committed), now()) }) : '');
  }
  const { configuration } = state.board ?? {};
  if (configuration?.edited) add('edited', t('edited', { at: when(ms(configuration.in_force), now()) }));
  if (mayAct() && !soundWorks()) {
    const n = ringing().length;
    add('mute', n ? t('sound_missing_now', { n }) : t('sound_missing'), button('sound', t('sound_check')));
  }
  if (state.board?.drill || state.board?.episodes?.some((e) => e.drill)) add('drill', t('drill_banner'));
  if (state.config.demo) add('demo', t('demo'));
  return shown;
}
