// A table that is a list of sheets on a phone, and a table to whoever hears it; a question that is asked until it is
// settled; and how tenants are told and chosen.

import { h } from './dom.js';
import { changed, state } from './state.js';
import { t } from './words.js';
import { announce, unsay } from './acts.js';
import { ask } from './asking.js';
import { clock, dated, ms } from './figures.js';
import { forget } from './fetched.js';
import { anew } from './live.js';
import { sentence } from './words_accounts.js';

/** Rows are those of `row`. The roles stay where the style makes blocks of the elements. */
export const table = (label, columns, rows) =>
  h(
    'table',
    { class: 'plain stacked', role: 'table', 'aria-label': label },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map((key) => h('th', { scope: 'col', role: 'columnheader' }, t(key))))),
    h('tbody', { role: 'rowgroup' }, rows),
  );

/** cells: [[key of its column, ...content]]; the first is the row's head. */
export const row = (key, cells, more = {}) =>
  h(
    'tr',
    { 'data-key': key, role: 'row', ...more },
    cells.map(([column, ...content], n) =>
      n
        ? h('td', { role: 'cell', 'data-label': t(column) }, h('span', {}, content))
        : h('th', { scope: 'row', role: 'rowheader', 'data-label': t(column) }, h('span', {}, content)),
    ),
  );

/** What stands where there is nothing to show, or not for whoever looks: of `fetched`. Null: show it. */
export function instead({ data, error }) {
  if (error && (!data || error.status === 401 || error.status === 403)) return h('p', { class: 'notice' }, t('not_read', { why: error.status ? sentence(error) : error.message }));
  return data ? null : h('p', { class: 'notice' }, t('reading'));
}

/** 2026/11/22 03:12 */
export const day = (iso) => `${dated(ms(iso))} ${clock(ms(iso))}`;

/** What is not broken into two lines. */
export const whole = (text) => h('span', { class: 'whole' }, text);

/** Asks until it is done, or let be (null): what is against it stands above the same question, with what was entered but
 * the passwords. question(said) -> as of `ask`, with `sentences`, and `wrong(said)`: what is wrong, before it is sent. */
export async function settle(question, deed) {
  if (state.busy.has('settle')) return null; // its own question may come back
  state.busy.add('settle');
  try {
    return await settled(question, deed);
  } finally {
    state.busy.delete('settle');
  }
}

async function settled(question, deed) {
  let against = '';
  let said = {};
  for (;;) {
    const asked = question(said);
    const body = [against && h('p', { class: 'against', role: 'alert' }, against), (asked.sentences ?? []).map((x) => h('p', { class: 'sentence' }, x)), asked.body];
    said = await ask({ ...asked, body });
    if (!said) return null;
    against = asked.wrong?.(said);
    if (against) continue;
    announce(t('sending'));
    try {
      return (await deed(said)) ?? {};
    } catch (e) {
      unsay();
      against = sentence(e);
      if (e.code === 'unauthenticated') anew();
    } finally {
      forget();
      changed();
    }
  }
}

export const saidTenants = (tenants) => (tenants ? tenants.join(t('comma')) : t('tenants_all'));

/** Those that may be given by whoever sees these (null: all). */
export const tenantsOf = (own) => own ?? [...new Set((state.board?.stations ?? []).map((x) => x.tenant))].sort();

/** A choice of tenants; `all`: what null is called, without it null cannot be chosen. chosen: null, or a list. */
export function tenantsField(names, chosen, all) {
  const every = [...new Set([...names, ...(chosen ?? [])])].sort();
  const some = !all || chosen;
  const reach = (value, label, checked) => h('label', {}, h('input', { type: 'radio', name: 'reach', value, checked }), label);
  return h(
    'fieldset',
    { class: 'checks' },
    h('legend', {}, t('head_tenants')),
    all && [reach('all', all, !some), reach('some', t('tenants_some'), Boolean(some))],
    h('div', { class: 'some' }, every.map((x) => h('label', {}, h('input', { type: 'checkbox', name: `tenant:${x}`, checked: chosen?.includes(x) }), x))),
  );
}

/** What was chosen there: null, or a list. */
export const chosenTenants = (said) =>
  said.reach === 'all' ? null : Object.keys(said).filter((x) => x.startsWith('tenant:')).map((x) => x.slice('tenant:'.length));

export const passwords = (required = true) => [
  { name: 'password', label: t('password_new'), kind: 'password', required, complete: 'new-password' },
  { name: 'again', label: t('password_again'), kind: 'password', required, complete: 'new-password' },
];
export const differ = (said) => (said.password === said.again ? '' : t('password_differs'));
