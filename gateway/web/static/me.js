// One's own account: its password, and the tokens by which programs ask in one's name.

import { h } from './dom.js';
import { hasAccount, now, state } from './state.js';
import { t } from './words.js';
import { send } from './api.js';
import { ask, say } from './asking.js';
import { announce } from './acts.js';
import { fetched } from './fetched.js';
import { ms } from './figures.js';
import { chosenTenants, day, differ, instead, passwords, row, saidTenants, settle, table, tenantsField, tenantsOf, whole } from './stacked.js';

const SCOPES = { read: 'viewer', act: 'operator', admin: 'administrator' }; // and the role that it needs
const ROLES = ['viewer', 'operator', 'administrator'];
let me = null;
let tokens = [];

const inForce = (x) => !x.revoked && ms(x.expires) > now();

function stateOf(x) {
  if (x.revoked) return t('state_revoked', { at: day(x.revoked) });
  return t(inForce(x) ? 'state_active' : 'state_expired');
}

const line = (x) =>
  row(x.id, [
    ['head_token', x.label || t('token_unnamed'), h('small', { class: 'block' }, `sui_${x.id}_…`)],
    ['token_scope', t(`scope_${x.scope}`)],
    ['head_tenants', x.tenants ? saidTenants(x.tenants) : t('tenants_own')],
    ['head_made', whole(day(x.made))],
    ['head_expires', whole(day(x.expires))],
    ['head_used', x.used ? whole(day(x.used)) : t('never_used')],
    ['head_state', inForce(x) ? h('button', { type: 'button', 'data-act': 'token_revoke', 'data-id': x.id, 'aria-label': `${t('token_revoke')}: ${x.label || x.id}` }, t('token_revoke')) : stateOf(x)],
  ]);

function list() {
  const got = fetched('tokens', 30_000);
  if (instead(got)) return instead(got);
  tokens = got.data.tokens;
  const [good, ended] = [tokens.filter(inForce), tokens.filter((x) => !inForce(x))];
  const columns = ['head_token', 'token_scope', 'head_tenants', 'head_made', 'head_expires', 'head_used', 'head_state'];
  return [
    good.length ? table(t('tokens'), columns, good.map(line)) : h('p', {}, t('no_tokens')),
    ended.length > 0 &&
      h('details', { class: 'ended' }, h('summary', {}, t('tokens_ended', { n: ended.length })), table(t('tokens_ended', { n: ended.length }), columns, ended.map(line))),
  ];
}

export function view() {
  if (!hasAccount()) return h('p', { class: 'notice' }, t('only_local'));
  if (state.out) return h('p', { class: 'notice' }, t('logged_out'));
  const got = fetched('me', 60_000);
  if (instead(got)) return instead(got);
  me = got.data;
  const button = (act, kind) => h('button', { type: 'button', 'data-act': act, class: kind }, t(act));
  return [
    h('h2', {}, t('view_me'), h('small', {}, `${me.name}　${t(`role_${me.role}`)}　${t('head_tenants')}: ${saidTenants(me.tenants)}`)),
    h('p', { class: 'ranges' }, button('password_change'), button('logout')),
    h('section', {}, h('h3', {}, t('tokens')), h('p', { class: 'small' }, t('tokens_what')), h('p', { class: 'ranges' }, button('token_make', 'main')), list()),
  ];
}

async function change() {
  const question = () => ({
    title: t('password_change'),
    sentences: [t('password_own_sentence')],
    fields: [{ name: 'old', label: t('password_old'), kind: 'password', required: true, complete: 'current-password' }, ...passwords()],
    verbs: [['yes', t('password_change')]],
    wrong: differ,
  });
  const done = await settle(question, async (said) => {
    try {
      return await send('password', { password: said.old, new: said.password });
    } catch (e) {
      throw e.code === 'wrong_login' ? Object.assign(e, { message: t('password_wrong') }) : e;
    }
  });
  if (!done) return;
  await say(t('password_change'), t('password_changed'));
  location.reload();
}

async function make() {
  const may = Object.keys(SCOPES).filter((x) => ROLES.indexOf(SCOPES[x]) <= ROLES.indexOf(me.role));
  const names = tenantsOf(me.tenants);
  const question = (was) => ({
    title: t('token_make'),
    sentences: [t('token_make_sentence')],
    fields: [
      { name: 'label', label: t('token_label'), required: true, value: was.label, limits: { maxlength: 100 } },
      { name: 'scope', label: t('token_scope'), kind: 'choice', value: was.scope, choices: may.map((x) => [x, t(`scope_${x}`)]) },
      { name: 'days', label: t('token_days'), kind: 'number', required: true, value: was.days ?? 90, limits: { min: 1, max: 366 } },
      tenantsField(names, was.verb ? chosenTenants(was) : null, t('tenants_own')),
    ],
    verbs: [['yes', t('token_make')]],
    wrong: (said) => (chosenTenants(said)?.length === 0 ? t('tenants_none') : ''),
  });
  const made = await settle(question, (said) =>
    send('tokens', { label: said.label, scope: said.scope, days: Number(said.days), tenants: chosenTenants(said) }),
  );
  if (made) await shown(made.token);
}

/** The secret stands in this question alone, and is gone with it. */
async function shown(secret) {
  const body = [
    h('p', {}, h('label', { for: 'secret' }, t('token')), h('input', { id: 'secret', class: 'secret', readonly: true, value: secret, spellcheck: 'false' })),
    h('p', { class: 'ranges' }, h('button', { type: 'button', 'data-act': 'token_copy', class: 'main' }, t('token_copy')), h('span', { id: 'copied', role: 'status' })),
  ];
  await ask({ title: t('token_make'), sentence: t('token_once'), body, verbs: [['yes', t('token_kept'), 'other']], back: false });
}

async function copy() {
  const field = document.getElementById('secret');
  field.select();
  let done = true;
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    done = document.execCommand('copy'); // without TLS a browser has no clipboard for a page
  }
  document.getElementById('copied').textContent = t(done ? 'token_copied' : 'token_not_copied');
}

async function revoke(button) {
  const x = tokens.find((one) => one.id === button.dataset.id);
  const question = () => ({ title: `${x.label || x.id}　${t('token_revoke')}`, sentences: [t('token_revoke_sentence')], verbs: [['yes', t('token_revoke')]] });
  if (await settle(question, () => send(`tokens/${x.id}`, {}, 'DELETE'))) announce(t('token_revoked'));
}

export const presses = { password_change: change, token_make: make, token_copy: copy, token_revoke: revoke };
