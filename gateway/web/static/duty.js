// The duty view: what waits, where it is, is it rising, how old is this, what do I not know.

import { h } from './dom.js';
import { state } from './state.js';
import { t } from './words.js';
import { bulletins } from './strip.js';
import { list } from './list.js';
import { mapPlace } from './map.js';
import { queue } from './queue.js';

const tab = (name) =>
  h('button', { type: 'button', 'data-act': 'tab', 'data-tab': name, 'aria-pressed': state.tab === name ? 'true' : 'false' }, t(`tab_${name}`));

export function duty() {
  if (!state.board) return h('p', { class: 'notice' }, state.out ? t('logged_out') : t('connecting'));
  return [
    bulletins(),
    h('div', { class: 'tabs' }, tab('list'), tab('map')),
    h(
      'div',
      { class: `duty show-${state.tab}` },
      h('div', { class: 'where' }, mapPlace()),
      h('div', { class: 'waits' }, state.board.episodes && queue(), list()),
    ),
  ];
}
