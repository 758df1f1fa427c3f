// One question at a time, with the consequence in a sentence. Escape is no.

import { h, show } from './dom.js';
import { t } from './words.js';

const dialog = () => document.getElementById('dialog');
let pending = null; // resolves the question that is open

/** {name, label, kind: text|area|choice|time|password|number, choices: [[value, label]], value, required, limits}, or an
 * element as it is */
function field(x) {
  if (x instanceof Node) return x;
  const common = { id: `field-${x.name}`, name: x.name, required: x.required, ...x.limits };
  const kinds = {
    area: () => h('textarea', { ...common, rows: 3 }, x.value ?? ''),
    choice: () =>
      h('select', common, x.choices.map(([value, label]) => h('option', { value, selected: value === x.value }, label))),
  };
  const types = { time: 'datetime-local', password: 'password', number: 'number' };
  const plain = () =>
    h('input', { ...common, type: types[x.kind] ?? 'text', value: x.value, list: null, autocomplete: x.complete ?? 'off' });
  return h('p', {}, h('label', { for: common.id }, x.label), (kinds[x.kind] ?? plain)());
}

/** The answers by name and `verb`, or null for no.
 * verbs: [[value, label, kind]]; the first is the one that Enter means. Without `back` it must be answered. */
export function ask({ title, sentence, fields = [], verbs, body, back = true }) {
  const element = dialog();
  pending?.(null);
  if (element.open) element.close();
  const choose = ([value, label, kind]) => h('button', { type: 'submit', value, class: kind ?? 'main' }, label);
  element.replaceChildren();
  show(
    element,
    h(
      'form',
      { method: 'dialog' },
      h('h2', { id: 'asked' }, title),
      sentence && h('p', { class: 'sentence' }, sentence),
      body,
      fields.map(field),
      h('p', { class: 'verbs' }, verbs.map(choose), back && h('button', { type: 'button', 'data-act': 'no' }, t('back'))),
    ),
  );
  element.setAttribute('aria-labelledby', 'asked');
  element.returnValue = '';
  element.oncancel = (event) => back || event.preventDefault();
  element.showModal();
  return new Promise((resolve) => {
    pending = resolve;
    element.onclose = () => {
      if (element.open) return; // of the question before this one
      const verb = element.returnValue;
      const said = verb ? { verb, ...Object.fromEntries(new FormData(element.querySelector('form'))) } : null;
      element.replaceChildren(); // no password or token stays behind
      resolve(said);
    };
  });
}

export const say = (title, sentence, body) => ask({ title, sentence, body, verbs: [['yes', t('understood')]] });
export const no = () => dialog().close('');
