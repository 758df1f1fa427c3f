// The audit: who did what, from where, with which outcome, the newest first; and what was refused, counted.

import { h } from './dom.js';
import { changed } from './state.js';
import { t } from './words.js';
import { fetched } from './fetched.js';
import { dated, ms, seconds } from './figures.js';
import { meaning } from './codes.js';
import { instead, row, table } from './stacked.js';
import { DEEDS, OUTCOMES, REFUSED, VIAS } from './words_accounts.js';

const HOURS = 24 * 800; // all of it
const ROWS = 100;
const NOW_MS = 15_000;
const PAST_MS = 600_000; // a page of before does not change
const turned = { audit: [], 'audit/refused': [] }; // the pages turned to: `before` of each

const at = (iso) => `${dated(ms(iso))} ${seconds(ms(iso))}`;
const whoOf = (x) => [x.who || t(x.via ? 'nobody' : 'several'), x.via && h('small', { class: 'block' }, meaning(VIAS, x.via, x.via))];

/** done; done, 3: from so many places; or why not. */
function outcomeOf(text) {
  const [, n] = /^done, (\d+)$/.exec(text) ?? [];
  if (n) return t(n === '0' ? 'signed_out_none' : 'signed_out', { n });
  const words = meaning(OUTCOMES, text, text);
  return text === 'done' ? words : h('b', {}, words);
}

const RIGHTS = { viewer: 'role_viewer', operator: 'role_operator', administrator: 'role_administrator', read: 'scope_read', act: 'scope_act', admin: 'scope_admin' };

/** `tanaka, operator, all tenants, enabled` in words; of others as it is. */
function subjectOf({ what, subject }) {
  if (!/^(account\.|token\.make)/.test(what)) return subject;
  const last = { enabled: 'account_active', disabled: 'account_disabled' };
  const parts = subject.split(', ');
  return parts
    .map((part, n) => {
      const [, id, name] = (n === 0 && /^([0-9a-f]{12}) of (.+)$/.exec(part)) || [];
      if (id) return t('token_of', { id, name });
      const key = n === 1 ? RIGHTS[part] : n === 2 && part === 'all tenants' ? 'tenants_all' : n > 2 && n === parts.length - 1 ? last[part] : null;
      return key ? t(key) : part;
    })
    .join(t('comma'));
}

const deed = (x) =>
  row(x.number, [
    ['head_time', h('time', { datetime: x.at }, at(x.at))],
    ['head_by', whoOf(x)],
    ['head_deed', meaning(DEEDS, x.what, x.what)],
    ['head_subject', subjectOf(x) || t('none')],
    ['head_outcome', outcomeOf(x.outcome)],
    ['head_address', x.address || t('none')],
  ]);

const refusal = (x) =>
  row(x.number, [
    ['head_last', h('time', { datetime: x.last }, at(x.last)), x.first !== x.last && h('small', { class: 'block' }, t('since_at', { at: at(x.first) }))],
    ['head_by', whoOf(x)],
    ['head_why', meaning(REFUSED, x.code, meaning(OUTCOMES, x.code, x.code))],
    ['head_times', x.count],
    ['head_asked', meaning(DEEDS, x.what, x.what)],
    ['head_address', x.address || t('none')],
  ]);

function pages(list, key, what, columns, line) {
  const before = turned[list].at(-1);
  const got = fetched(`${list}?hours=${HOURS}&limit=${ROWS}${before ? `&before=${before}` : ''}`, before ? PAST_MS : NOW_MS);
  const { data } = got;
  const turn = (act, on, value) => h('button', { type: 'button', 'data-act': act, 'data-list': list, 'data-before': value, disabled: !on }, t(act));
  return h(
    'section',
    { 'data-key': list },
    h('h3', {}, t(key), h('small', {}, `　${t('newest_first')}`)),
    h('p', { class: 'small' }, t(what)),
    instead(got) ?? (data.rows.length ? table(t(key), columns, data.rows.map(line)) : h('p', {}, t('no_rows'))),
    (before || data?.next) && h('p', { class: 'ranges' }, turn('audit_newer', before), turn('audit_older', data?.next, data?.next)),
  );
}

/** `own`: tenants of whoever looks; the audit is of the whole house. */
export function audit(own) {
  if (own) return h('p', { class: 'notice' }, t('audit_all_only'));
  const deeds = ['head_time', 'head_by', 'head_deed', 'head_subject', 'head_outcome', 'head_address'];
  const refusals = ['head_last', 'head_by', 'head_why', 'head_times', 'head_asked', 'head_address'];
  return [
    pages('audit', 'audit', 'audit_what', deeds, deed),
    pages('audit/refused', 'audit_refused', 'audit_refused_what', refusals, refusal),
  ];
}

function turn(button, step) {
  step(turned[button.dataset.list]);
  button.closest('section').scrollIntoView({ block: 'start' });
  changed();
}

export const presses = {
  audit_older: (button) => turn(button, (to) => to.push(Number(button.dataset.before))),
  audit_newer: (button) => turn(button, (to) => to.pop()),
};
