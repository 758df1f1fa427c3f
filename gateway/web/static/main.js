// The page: what is shown for which address, and what a press of a button does.

import { h, show } from './dom.js';
import { changed, state, watch } from './state.js';
import { language, speak, t, named } from './words.js';
import { read } from './api.js';
import { duty } from './duty.js';
import { strip, banners } from './strip.js';
import { listen } from './live.js';
import { begin as beginTheme } from './theme.js';
import { press, presses } from './press.js';
import { ringing, speakNews } from './sound.js';
import { prepareMap } from './map.js';

const VIEWS = { duty };
// View -> its module, fetched when it is first asked for: the duty view comes first on a slow line.
const MORE = Object.fromEntries(['station', 'episode', 'journal', 'handover', 'operations', 'accounts', 'me'].map((x) => [x, `./${x}.js`]));

/** '#/station/a/b' -> ['station', 'a', 'b'] */
const route = () => location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);

async function view() {
  const [name] = route();
  if (name in MORE && !VIEWS[name]) {
    const module = await import(MORE[name]);
    Object.assign(presses, module.presses);
    if (name === 'station') Object.assign(presses, (await import('./hydrograph.js')).presses);
    VIEWS[name] = module.view;
  }
  return VIEWS[name] ?? duty;
}

let drawn = null;

async function draw() {
  if (!state.config) return;
  const showing = await view();
  const here = location.hash;
  document.documentElement.classList.toggle('lost', state.lost);
  const waiting = ringing().length;
  document.title = `${waiting ? `(${waiting}) ` : ''}${named(state.config.title) || t('title')}`;
  document.getElementById('skip').textContent = t('skip');
  show(document.getElementById('strip'), strip(route()[0] || 'duty'));
  show(document.getElementById('banners'), banners());
  const main = document.getElementById('main');
  if (drawn !== here) {
    main.replaceChildren();
    main.className = `view-${route()[0] || 'duty'}`;
  }
  show(main, showing(route().slice(1)));
  if (drawn !== null && drawn !== here) main.focus({ preventScroll: true });
  drawn = here;
  document.dispatchEvent(new Event('drawn'));
  speakNews();
}

async function begin() {
  speak(language);
  beginTheme();
  try {
    state.config = await read('config');
  } catch (e) {
    const why = e.status ? t('no_config', { why: e.message }) : t('no_server');
    show(document.getElementById('main'), h('p', { class: 'notice' }, why));
    setTimeout(begin, 5000);
    return;
  }
  prepareMap();
  listen();
  changed();
}

watch(draw);
addEventListener('hashchange', changed);
document.addEventListener('click', press);
// Ages and waiting times go on without news.
setInterval(changed, 5000);
begin();
