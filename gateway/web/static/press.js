// What a press of a button does, by its name.

import { changed, state } from './state.js';
import { language, speak, t } from './words.js';
import { send } from './api.js';
import { ask, no, say } from './asking.js';
import { nextTheme } from './theme.js';
import { arm, tryOut } from './sound.js';
import * as acts from './acts.js';

async function sound() {
  try {
    await tryOut();
  } catch (e) {
    await say(t('sound_check'), t('sound_none', { why: e.message }));
    return;
  }
  const verbs = [
    ['heard', t('sound_heard')],
    ['again', t('sound_again'), 'other'],
    ['silent', t('sound_silent'), 'other'],
  ];
  const said = await ask({ title: t('sound_check'), sentence: t('sound_question'), verbs });
  if (said?.verb === 'again') return sound();
  arm(said?.verb === 'heard');
  if (said?.verb === 'silent') await say(t('sound_check'), t('sound_help'));
}

async function login() {
  const fields = [
    { name: 'name', label: t('login_name'), required: true, complete: 'username' },
    { name: 'password', label: t('login_password'), kind: 'password', required: true, complete: 'current-password' },
  ];
  const said = await ask({ title: t('login'), fields, verbs: [['yes', t('login')]] });
  if (!said) return;
  try {
    await send('login', { name: said.name, password: said.password });
    location.reload();
  } catch (e) {
    await say(t('login_failed'), e.status ? e.message : t('no_server'));
  }
}

async function logout() {
  try {
    await send('logout', {});
  } finally {
    location.reload();
  }
}

export const presses = {
  sound,
  login,
  logout,
  no,
  language: () => {
    speak(language === 'ja' ? 'en' : 'ja');
    changed();
  },
  theme: () => {
    nextTheme();
    changed();
  },
  tab: (button) => {
    state.tab = button.dataset.tab;
    changed();
    button.scrollIntoView({ block: 'start' }); // on a phone the map fills the screen below it
  },
  print: () => globalThis.print(),
  acknowledge: (button) => acts.acknowledge(button.dataset.episode),
  together: () => acts.acknowledgeTogether(),
  judge: (button) => acts.judge(button.dataset.episode),
  drillend: (button) => acts.endDrill(button.dataset.episode),
  close: (button) => acts.close(button.dataset.episode),
  mute: (button) => acts.mute(button.dataset.place),
  maintenance: (button) => acts.maintenance(button.dataset.place),
  end: (button) => acts.endSuspension(button.dataset.place, button.dataset.kind),
  entry: (button) => acts.entry(button.dataset.place),
};

export function press(event) {
  const button = event.target.closest?.('[data-act]');
  if (!button || button.disabled) return;
  if (!(button.dataset.act in presses)) throw new Error(`no act ${button.dataset.act}`);
  presses[button.dataset.act](button);
  changed();
}
