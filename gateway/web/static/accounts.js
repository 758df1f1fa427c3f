// Who may use the page: accounts as an administrator handles them, each act with what it means; beside it the audit.

import { h } from './dom.js';
import { administers, state } from './state.js';
import { t } from './words.js';
import { send } from './api.js';
import { ask } from './asking.js';
import { announce } from './acts.js';
import { fetched } from './fetched.js';
import { chosenTenants, day, differ, instead, passwords, row, saidTenants, settle, table, tenantsField, tenantsOf, whole } from './stacked.js';
import { presses as auditPresses, audit } from './audit.js';

const ROLES = ['viewer', 'operator', 'administrator'];
let accounts = [];
let own = null; // tenants of whoever looks; null: all

const account = (name) => accounts.find((x) => x.name === name);
const path = (name, rest = '') => `accounts/${encodeURIComponent(name)}${rest}`;
const titled = (x, verb) => `${x.name}　${verb}`;
const isYou = (x) => x.name === state.config.you.name && state.config.you.via === 'session';

function deeds(x) {
  const button = (act) =>
    h('button', { type: 'button', 'data-act': act, 'data-name': x.name, 'aria-label': `${t(act)}: ${x.name}` }, t(act));
  if (isYou(x)) return [button('account_signout'), h('small', {}, t('account_hint'))];
  return [
    button('account_rights'),
    button('account_password'),
    !x.machine && button('account_signout'),
    button(x.disabled ? 'account_enable' : 'account_disable'),
  ];
}

function line(x) {
  const states = [
    x.disabled ? h('b', { class: 'tag' }, t('account_disabled')) : t('account_active'),
    x.machine && h('small', { class: 'block' }, t('account_for_machine')),
  ];
  const cells = [
    ['head_account', x.name, isYou(x) && h('b', { class: 'tag' }, t('account_yours')), x.display !== x.name && h('small', { class: 'block' }, x.display)],
    ['head_role', whole(t(`role_${x.role}`))],
    ['head_tenants', saidTenants(x.tenants)],
    ['head_state', states],
    ['head_changed', whole(day(x.changed))],
    ['head_deeds', h('span', { class: 'acts left' }, deeds(x))],
  ];
  return row(x.name, cells, { class: x.disabled ? 'ended' : null });
}

function list() {
  const got = fetched('accounts', 30_000);
  if (instead(got)) return instead(got);
  accounts = got.data.accounts;
  const columns = ['head_account', 'head_role', 'head_tenants', 'head_state', 'head_changed', 'head_deeds'];
  return [
    h(
      'p',
      { class: 'ranges' },
      h('button', { type: 'button', 'data-act': 'account_make', class: 'main' }, t('account_make')),
      state.config.login?.oidc && own === null && h('button', { type: 'button', 'data-act': 'account_provider' }, t('provider_signout')),
    ),
    table(t('accounts'), columns, accounts.map(line)),
  ];
}

export function view([part]) {
  if (!administers()) return h('p', { class: 'notice' }, t('only_administrators'));
  if (state.out) return h('p', { class: 'notice' }, t('logged_out'));
  const me = fetched('me', 60_000);
  if (instead(me)) return instead(me);
  own = me.data.tenants;
  const link = (to, key, here) => h('a', { class: 'button', href: to, 'aria-current': here ? 'page' : null }, t(key));
  const shown = part === 'audit' ? audit(own) : list();
  return [
    h('h2', {}, t('view_accounts')),
    h('nav', { class: 'ranges', 'aria-label': t('view_accounts') }, link('#/accounts', 'accounts', part !== 'audit'), link('#/accounts/audit', 'audit', part === 'audit')),
    shown,
  ];
}

const role = (value) => ({
  name: 'role',
  label: t('head_role'),
  kind: 'choice',
  value,
  choices: ROLES.map((x) => [x, t(`role_${x}_may`)]),
});
const tenants = (chosen) => tenantsField(tenantsOf(own), chosen, own === null ? t('tenants_all_future') : '');
const noTenant = (said) => (chosenTenants(said)?.length === 0 ? t('tenants_none') : '');
const verb = (key) => [['yes', t(key)]];

/** Of the new one: what is against it before it is sent. */
function wrongNew(said) {
  const { kind, password } = said;
  if (kind === 'machine') return noTenant(said);
  return (password ? differ(said) : t('password_missing')) || noTenant(said);
}

async function make() {
  const kinds = ['person', 'machine'].map((x) => [x, t(`account_${x}`)]);
  const question = (was) => ({
    title: t('account_make'),
    sentences: [t('account_make_sentence')],
    fields: [
      { name: 'name', label: t('head_account'), required: true, value: was.name },
      { name: 'display', label: t('account_display'), value: was.display },
      role(was.role),
      tenants(was.verb ? chosenTenants(was) : own?.length === 1 ? own : own && []),
      { name: 'kind', label: t('account_kind'), kind: 'choice', value: was.kind, choices: kinds },
      ...passwords(false),
    ],
    verbs: verb('account_make'),
    wrong: wrongNew,
  });
  const made = await settle(question, (said) => {
    const password = said.kind === 'machine' ? null : said.password;
    return send('accounts', { name: said.name, display: said.display, role: said.role, tenants: chosenTenants(said), password });
  });
  if (!made) return;
  announce(t('account_made', { name: made.name }));
  if (!made.machine) return;
  const body = h('pre', {}, `suimon web token create ${/^[\w.-]+$/.test(made.name) ? made.name : `'${made.name}'`} --scope read --days 90`);
  await ask({ title: t('account_made', { name: made.name }), sentence: t('account_token_how', { name: made.name }), body, verbs: verb('understood') });
}

/** Sends a change of an account and says that it is done. */
async function change(x, question, body) {
  const got = await settle(question, (said) => send(path(x.name), body(said), 'PATCH'));
  if (got) announce(t('account_changed', { name: x.name }));
}

const outOf = (x) => (x.machine ? [] : [t('all_out')]);

async function rights(button) {
  const x = account(button.dataset.name);
  const question = (was) => ({
    title: titled(x, t('account_rights')),
    sentences: [...outOf(x), t('rights_sentence')],
    fields: [role(was.role ?? x.role), tenants(was.verb ? chosenTenants(was) : x.tenants)],
    verbs: verb('account_rights'),
    wrong: noTenant,
  });
  let done = true;
  const got = await settle(question, (said) => {
    const [only, body] = [chosenTenants(said), {}];
    if (said.role !== x.role) body.role = said.role;
    if (JSON.stringify(only) !== JSON.stringify(x.tenants)) body.tenants = only;
    done = Object.keys(body).length > 0; // the same again would sign the person out for nothing
    return done ? send(path(x.name), body, 'PATCH') : {};
  });
  if (got) announce(done ? t('account_changed', { name: x.name }) : t('account_unchanged'));
}

function password(button) {
  const x = account(button.dataset.name);
  const question = () => ({
    title: titled(x, t('account_password')),
    sentences: x.machine ? [t('password_machine')] : [...outOf(x), t('password_sentence')],
    fields: passwords(),
    verbs: verb('account_password'),
    wrong: differ,
  });
  return change(x, question, (said) => ({ password: said.password }));
}

function able(act, disabled) {
  return (button) => {
    const x = account(button.dataset.name);
    const sentences = disabled ? [...outOf(x), t('disable_sentence')] : [t('enable_sentence')];
    return change(x, () => ({ title: titled(x, t(act)), sentences, verbs: verb(act) }), () => ({ disabled }));
  };
}

const ended = ({ ended: n }) => announce(n ? t('signed_out', { n }) : t('signed_out_none'));

async function signOut(button) {
  const x = account(button.dataset.name);
  const sentences = [t(isYou(x) ? 'all_out_you' : 'all_out'), t('signout_sentence')];
  const question = () => ({ title: titled(x, t('account_signout')), sentences, verbs: verb('account_signout') });
  const got = await settle(question, () => send(path(x.name, '/sessions'), {}, 'DELETE'));
  if (got && isYou(x)) location.reload(); // to the login
  else if (got) ended(got);
}

/** Somebody who has no account here, but a session by the city's provider. */
async function provider() {
  const question = (was) => ({
    title: t('provider_signout'),
    sentences: [t('all_out')],
    fields: [{ name: 'name', label: t('provider_name'), required: true, value: was.name }],
    verbs: verb('account_signout'),
    wrong: (said) => (said.name.includes('@') ? '' : t('provider_not')),
  });
  const got = await settle(question, (said) => send(path(said.name.trim(), '/sessions'), {}, 'DELETE'));
  if (got) ended(got);
}

export const presses = {
  ...auditPresses,
  account_make: make,
  account_rights: rights,
  account_password: password,
  account_disable: able('account_disable', true),
  account_enable: able('account_enable', false),
  account_signout: signOut,
  account_provider: provider,
};
